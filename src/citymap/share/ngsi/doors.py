"""The doors of `/ngsi-ld/v1`, and how a test knocks at them."""

from __future__ import annotations

from urllib.parse import quote

from citymap.share.doors import Door, Knock, declare
from citymap.share.ngsi.entities import TYPES, made
from citymap.workspace import Workspace

BASE = "/ngsi-ld/v1"
KINDS = ("shelters", "wifi", "reports", "closures", "status", "water_levels")


def _lists(workspace: Workspace) -> list[Knock]:
    del workspace
    return [Knock(f"{BASE}/entities?limit=1000&type={name}") for name in TYPES]


def _each(workspace: Workspace) -> list[Knock]:
    found = made(workspace, "public", None)
    return [Knock(f"{BASE}/entities/{quote(one['id'], safe='')}") for one in found[:50]]


declare(
    Door(f"{BASE}/entities", kinds=KINDS, knocks=_lists),
    Door(f"{BASE}/entities/{{entity}}", kinds=KINDS, knocks=_each),
    Door(f"{BASE}/subscriptions", nothing="says to staff which programs are told of changes"),
    Door(f"{BASE}/subscriptions/{{subscription}}", nothing="takes a subscription out"),
    Door(f"{BASE}/types", nothing="the names of the types"),
)
