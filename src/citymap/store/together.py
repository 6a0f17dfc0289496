"""Writes of one moment in one transaction: one wait for the disk serves all who came meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from citymap.errors import CitymapError

MOST = 64  # in one transaction
T = TypeVar("T")
Write = Callable[[], AbstractContextManager[Connection]]


@dataclass(slots=True, eq=False)
class _Deed(Generic[T]):
    act: Callable[[Connection], T]
    ended: bool = False
    result: T | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class Together:
    """The line of those who want to write; the first of it writes for all."""

    _deeds: list[_Deed[Any]] = field(default_factory=list)
    _line: Lock = field(default_factory=Lock)
    _lead: Lock = field(default_factory=Lock)

    def do(self, write: Write, act: Callable[[Connection], T], *, gone: type[CitymapError]) -> T:
        """What `act` returns, once its transaction is committed and on the disk.

        Where one deed of a transaction fails, nothing of it stays, and each is done again by itself:
        `act` may run twice, but counts once. An error of the kind `gone` (the store is full or away)
        is everybody's.

        Raises:
            BaseException: what `act` or the transaction raised.
        """
        mine = _Deed(act)
        with self._line:
            self._deeds.append(mine)
        while not mine.ended:
            with self._lead:
                if mine.ended:
                    break
                with self._line:
                    batch, self._deeds = self._deeds[:MOST], self._deeds[MOST:]
                _write(batch, write, gone)
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]


def _write(batch: Sequence[_Deed[Any]], write: Write, gone: type[CitymapError]) -> None:
    try:
        with write() as connection:
            for deed in batch:
                deed.result = deed.act(connection)
    except BaseException as error:
        if len(batch) > 1 and isinstance(error, Exception) and not isinstance(error, gone):
            for deed in batch:
                _write([deed], write, gone)
            return
        for deed in batch:
            deed.error = error
    for deed in batch:
        deed.ended = True
