"""Subscriptions of other programs: who is told, of what, when it changes; kept in the city's folder."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from citymap.errors import BadInputError
from citymap.layers.remote import Allowed, send
from citymap.share.ngsi import query
from citymap.share.ngsi.broker import CONTEXT, LD, digest, folder, remembered
from citymap.share.ngsi.entities import TYPES, Entity, made
from citymap.workspace import held, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

MOST = 100
FIRST_RETRY_S, LAST_RETRY_S = 5, 3600
AUDIENCE: Audience = "public"  # whoever may subscribe: what goes out is what everybody may see
_KNOWN = frozenset(
    {"id", "type", "@context", "description", "subscriptionName", "entities", "watchedAttributes", "q",
     "geoQ", "notification", "isActive", "expiresAt", "throttling"}
)  # fmt: skip
_ID = re.compile(r"urn:ngsi-ld:Subscription:[\w.:-]{1,100}")
Subscription = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one subscription in a pass."""

    id: str
    sent: int = 0
    error: str = ""


def _file(workspace: Workspace) -> Path:
    return folder(workspace) / "subscriptions.json"


def _wrong(name: str, value: object) -> BadInputError:
    return BadInputError("ngsi_parameter", place=name, value=str(value)[:100])


def listed(workspace: Workspace) -> list[Subscription]:
    """All subscriptions, with what became of their notifications (not what was in them)."""
    return [_shown(one) for one in remembered(_file(workspace)).values()]


def _shown(one: Subscription) -> Subscription:
    return {k: v for k, v in one.items() if not k.startswith("_")}


def add(workspace: Workspace, asked: Any, allowed: Allowed, *, by: str) -> str:
    """Enter a subscription; its id.

    Raises:
        BadInputError: it is none, its endpoint is not allowed, the id is taken, or there are too many.
    """
    one = _checked(asked, allowed)
    with held(folder(workspace) / ".lock", "ngsi"):
        there = remembered(_file(workspace))
        if one["id"] in there:
            raise BadInputError("ngsi_exists", place=one["id"])
        if len(there) >= MOST:
            raise BadInputError("ngsi_too_many", most=MOST)
        there[one["id"]] = {**one, "_by": by, "_told": {}}
        write_text(_file(workspace), json.dumps(there, ensure_ascii=False))
    return str(one["id"])


def remove(workspace: Workspace, name: str) -> None:
    """Take a subscription out.

    Raises:
        BadInputError: there is none of that id.
    """
    with held(folder(workspace) / ".lock", "ngsi"):
        there = remembered(_file(workspace))
        if there.pop(name, None) is None:
            raise BadInputError("ngsi_no_entity", place=name[:200])
        write_text(_file(workspace), json.dumps(there, ensure_ascii=False))


def _checked(asked: Any, allowed: Allowed) -> Subscription:
    if not isinstance(asked, Mapping) or asked.get("type") != "Subscription":
        raise _wrong("type", "Subscription")
    unknown = set(asked) - _KNOWN
    if unknown:
        raise _wrong(str(min(unknown)), "?")
    one = {k: v for k, v in asked.items() if k != "@context"}
    one.setdefault("id", f"urn:ngsi-ld:Subscription:{uuid.uuid4()}")
    if not isinstance(one["id"], str) or not _ID.fullmatch(one["id"]):
        raise _wrong("id", one["id"])
    entities = one.get("entities")
    if not isinstance(entities, list) or not entities or not all(
        isinstance(e, Mapping) and e.get("type") in TYPES and set(e) <= {"type", "id", "idPattern"}
        for e in entities
    ):  # fmt: skip
        raise _wrong("entities", entities)
    watched = one.get("watchedAttributes", [])
    if not isinstance(watched, list) or not all(isinstance(w, str) for w in watched):
        raise _wrong("watchedAttributes", watched)
    told = one.get("notification")
    endpoint = told.get("endpoint") if isinstance(told, Mapping) else None
    uri = endpoint.get("uri") if isinstance(endpoint, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(uri, str):
        raise _wrong("notification", told)
    if told.get("format", "normalized") not in {"normalized", "keyValues", "simplified"}:
        raise _wrong("format", told["format"])
    attributes = told.get("attributes", [])
    if not isinstance(attributes, list) or not all(isinstance(a, str) for a in attributes):
        raise _wrong("attributes", attributes)
    if not isinstance(one.get("throttling", 0), int | float):
        raise _wrong("throttling", one["throttling"])
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or not allowed.host(parts.hostname or ""):
        raise BadInputError("remote_not_allowed", place=parts.hostname or uri[:100])
    matching(one, [], 6677)  # that it can be read
    _expiry(one)
    one.setdefault("isActive", True)
    return one


def _expiry(one: Subscription) -> datetime | None:
    text = one.get("expiresAt")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError) as e:
        raise _wrong("expiresAt", text) from e
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _tests(one: Subscription, epsg: int) -> list[query.Test]:
    tests: list[query.Test] = []
    if "q" in one:
        tests.append(query.matches(str(one["q"])))
    if "geoQ" in one:
        asked = one["geoQ"]
        if not isinstance(asked, Mapping):
            raise _wrong("geoQ", asked)
        given = {k: v if isinstance(v, str) else json.dumps(v) for k, v in asked.items()}
        near = query.placed(given, epsg)
        if near is None:
            raise _wrong("geoQ", asked)
        tests.append(near)
    return tests


def matching(one: Subscription, entities: list[Entity], epsg: int) -> list[Entity]:
    """The entities that a subscription is about."""
    tests = _tests(one, epsg)
    selectors = [
        (e["type"], e.get("id"), query.pattern(e["idPattern"], "idPattern") if "idPattern" in e else None)
        for e in one["entities"]
    ]  # fmt: skip
    return [
        e for e in entities
        if any(e["type"] == t and (i is None or i == e["id"]) and (p is None or p(e["id"])) for t, i, p in selectors)
        and all(test(e) for test in tests)
    ]  # fmt: skip


def deliver(
    workspace: Workspace, allowed: Allowed, *, at: datetime | None = None
) -> list[Delivery]:
    """One pass: tell every subscriber what is new or changed since it last took a notification.

    A subscriber that does not answer 2xx is asked again after 5 s, 10 s, … up to an hour, with
    everything that changed by then: nothing is forgotten, and nobody else waits for it.
    """
    at = at or datetime.now(UTC)
    city, done = workspace.city(), []
    with held(folder(workspace) / ".lock", "ngsi"):
        there = remembered(_file(workspace))
        if not there:
            return []
        entities = made(workspace, AUDIENCE, None)
        for name, one in there.items():
            if not one.get("isActive", True) or _resting(one, at):
                continue
            before = one["_told"]
            found = _delivered(one, matching(one, entities, city.epsg), allowed, at)
            if found is not None:
                done.append(Delivery(name, *found))
            if found is not None or one["_told"] != before:
                write_text(_file(workspace), json.dumps(there, ensure_ascii=False))
    return done


def _resting(one: Subscription, at: datetime) -> bool:
    expiry = _expiry(one)
    if expiry is not None and at > expiry:
        return True
    return "_retry_at" in one and at < datetime.fromisoformat(one["_retry_at"])


def _watched(entity: Entity, one: Subscription) -> str:
    wanted = one.get("watchedAttributes")
    return digest(query.chosen(entity, frozenset(wanted)) if wanted else entity)


def _delivered(
    one: Subscription, about: list[Entity], allowed: Allowed, at: datetime
) -> tuple[int, str] | None:
    """Tell one subscriber; how many entities it took and what was wrong, None where nothing is new."""
    now = {e["id"]: _watched(e, one) for e in about}
    news = [e for e in about if one["_told"].get(e["id"]) != now[e["id"]]]
    if not news:
        one["_told"] = now
        return None
    told = one["notification"]
    wanted = frozenset(told["attributes"]) if told.get("attributes") else None
    data = [query.chosen(e, wanted) for e in news]
    if told.get("format") in {"keyValues", "simplified"}:
        data = [query.simplified(e) for e in data]
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "id": f"urn:ngsi-ld:Notification:{uuid.uuid4()}", "type": "Notification",
        "subscriptionId": one["id"], "notifiedAt": stamp, "data": data, "@context": CONTEXT,
    }  # fmt: skip
    error = ""
    try:
        status, _ = send(
            told["endpoint"]["uri"], json.dumps(body, ensure_ascii=False).encode(), LD, allowed
        )
        if not 200 <= status < 300:
            error = f"HTTP {status}"
    except BadInputError as e:
        error = e.message("en").partition("\n")[0]
    one["lastNotification"] = stamp
    one["timesSent"] = one.get("timesSent", 0) + 1
    if error:
        one["timesFailed"] = one.get("timesFailed", 0) + 1
        one["status"], one["lastFailure"] = "failed", stamp
        one["_failures"] = one.get("_failures", 0) + 1
        wait_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** (one["_failures"] - 1))
        one["_retry_at"] = (at + timedelta(seconds=wait_s)).isoformat()
        return 0, error
    one["status"], one["lastSuccess"], one["_told"] = "ok", stamp, now
    one.pop("_failures", None)
    one.pop("_retry_at", None)
    throttling = float(one.get("throttling", 0))
    if throttling > 0:
        one["_retry_at"] = (at + timedelta(seconds=throttling)).isoformat()
    return len(news), ""
