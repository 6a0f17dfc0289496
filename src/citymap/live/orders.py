"""The municipality's order: 高齢者等避難, 避難指示, 緊急安全確保, for real or as a drill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import insert, select

from citymap.errors import BadInputError
from citymap.store import audit
from citymap.store.tables import ORDERS, now

if TYPE_CHECKING:
    from citymap.store import Store

Mode = Literal["normal", "disaster", "drill"]
MODES: tuple[Mode, ...] = get_args(Mode)
LEVELS = (3, 4, 5)  # 警戒レベル with an order of the municipality
MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Order:
    """What holds since `at`. `level` None in disaster mode: no order yet; no `districts`: everywhere.

    `message` is what staff add, by language.
    """

    mode: Mode = "normal"
    level: int | None = None
    hazard: str = ""
    districts: tuple[str, ...] = ()
    message: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None
    actor: str = ""


def give(
    store: Store, mode: str, *, level: int | None = None, hazard: str = "",
    districts: Sequence[str] = (), message: Mapping[str, str] | None = None, by: str,
) -> Order:  # fmt: skip
    """Put an order in force, or take it back (`normal`).

    Raises:
        BadInputError: no such mode or level, or a text that is too long.
    """
    if mode not in MODES:
        raise BadInputError("order_mode", place=mode, modes=", ".join(MODES))
    if level is not None and (level not in LEVELS or mode == "normal"):
        raise BadInputError("order_level", place=str(level))
    texts = {lang: text.strip() for lang, text in (message or {}).items() if text.strip()}
    if any(len(text) > MAX_TEXT for text in texts.values()):
        raise BadInputError("order_text", limit=MAX_TEXT)
    row: dict[str, Any] = {
        "mode": mode, "level": level, "hazard": hazard, "districts": list(districts),
        "message": texts, "at": now(), "actor": by[:128],
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(ORDERS).values(**row))
        audit.record(
            connection, actor=by, action="order.give", subject=mode, level=level, hazard=hazard,
            districts=list(districts),
        )  # fmt: skip
    return Order(**{**row, "districts": tuple(districts)})


def current(store: Store) -> Order:
    """What holds now; the normal day where nobody ever gave an order."""
    with store.read() as connection:
        row = connection.execute(select(ORDERS).order_by(ORDERS.c.seq.desc()).limit(1)).first()
    if row is None:
        return Order()
    return Order(
        row.mode, row.level, row.hazard, tuple(row.districts), row.message, row.at, row.actor
    )
