"""Pushing entities to a broker: what changed since it last took them, until it has taken it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.layers.remote import Allowed, send
from citymap.share.doors import Door, declare
from citymap.share.ngsi.entities import Entity, made
from citymap.workspace import held, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld"
LD = "application/ld+json"
BATCH = 200
ATTEMPTS = 4
FIRST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many entities the broker took, and how many it was told to forget."""

    sent: int
    deleted: int
    unchanged: int


def digest(entity: Entity) -> str:
    """What an entity says, without the moment it was looked up (a closure's `as_of`)."""
    kept = {k: _timeless(v) for k, v in entity.items()}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _timeless(attribute: Any) -> Any:
    if isinstance(attribute, dict):
        return {k: v for k, v in attribute.items() if k != "observedAt"}
    return attribute


def folder(workspace: Workspace) -> Path:
    """Where we remember what others have taken."""
    return workspace.root / "ngsi"


def remembered(path: Path) -> dict[str, Any]:
    """A file of ours; empty where there is none, or one that cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def push(
    workspace: Workspace,
    broker: str,
    allowed: Allowed,
    *,
    audience: Audience = "public",
    wait: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Bring a broker up to date by batches of upserts and deletes.

    What it has taken is remembered after every batch, so that a push that fails is gone on with by
    the next one: every change arrives at least once.

    Raises:
        BadInputError: the broker's host is not allowed, or it did not take it.
    """
    base = broker.rstrip("/").removesuffix("/ngsi-ld/v1")
    path = folder(workspace) / f"{blake2b(base.encode(), digest_size=8).hexdigest()}.json"
    with held(folder(workspace) / ".lock", "ngsi"):
        taken: dict[str, str] = remembered(path)
        entities = {one["id"]: one for one in made(workspace, audience, None)}
        now = {name: digest(one) for name, one in entities.items()}
        changed = [name for name in entities if taken.get(name) != now[name]]
        gone = [name for name in taken if name not in entities]
        for batch in _batches(changed):
            body = [{**entities[name], "@context": CONTEXT} for name in batch]
            _given(
                f"{base}/ngsi-ld/v1/entityOperations/upsert", body, allowed, wait, {200, 201, 204}
            )
            taken |= {name: now[name] for name in batch}
            write_text(path, json.dumps(taken))
        for batch in _batches(gone):
            _given(
                f"{base}/ngsi-ld/v1/entityOperations/delete", batch, allowed, wait, {200, 204, 404}
            )
            taken = {k: v for k, v in taken.items() if k not in set(batch)}
            write_text(path, json.dumps(taken))
    return Pushed(len(changed), len(gone), len(entities) - len(changed))


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _given(
    url: str, value: Any, allowed: Allowed, wait: Callable[[float], None], good: set[int]
) -> None:
    """POST until it is taken, waiting longer each time; a refusal (4xx) is not asked again."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    media = LD if value and isinstance(value[0], dict) else "application/json"
    for attempt in range(ATTEMPTS):
        try:
            status, answer = send(url, body, media, allowed)
        except BadInputError as error:
            if error.key != "remote_unreachable" or attempt == ATTEMPTS - 1:
                raise
        else:
            if status in good:
                return
            if status < 500 or attempt == ATTEMPTS - 1:
                reason = answer[:200].decode("utf-8", "replace")
                raise BadInputError("ngsi_not_taken", place=url, status=status, reason=reason)
        wait(FIRST_WAIT_S * 2**attempt)


def _every_entity(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    for one in made(workspace, audience, None):
        yield json.dumps(one, ensure_ascii=False).encode()


declare(
    Door(
        "push to a broker and to subscribers",
        kinds=("shelters", "wifi", "reports", "closures", "status"),
        emit=_every_entity,
    )
)
