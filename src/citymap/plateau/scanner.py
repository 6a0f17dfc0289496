"""The fast reader: compiled byte scanner over chunks of whole cityObjectMembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from citymap.plateau import _kernels as k
from citymap.plateau.header import Header
from citymap.plateau.raw import RawTables
from citymap.plateau.vocabulary import VOCABULARY, family

CHUNK_BYTES = 4 << 20
_NAMES = 4096


class NeedsStrictError(Exception):
    """The file holds something that only the strict reader may judge (place in the argument)."""


def _table(size: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    return np.zeros(size, np.uint64), np.full(size, -1, np.int64)


def _local_names() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    hashes, values = _table(256)
    for name, (meaning, _) in VOCABULARY.items():
        raw = np.frombuffer(name.encode(), np.uint8)
        k.put(hashes, values, np.uint64(k.hash_bytes(raw, 0, raw.size)), meaning)
    return hashes, values


class Scanner:
    """Holds the names met so far and the reusable tables of one file."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._local = _local_names()
        self._name_hash, self._name_value = _table(2 * _NAMES)
        self._meaning = np.zeros(_NAMES, np.int64)
        self._span = np.zeros((_NAMES, 4), np.int64)
        self._counts = np.zeros(9, np.int64)
        self._names: list[str] = []
        self._prefixes = dict(header.prefixes)
        self._size = [0, 2048, 32768, 32768, 32768, 262144, 16384]
        self._allocate()

    def _allocate(self) -> None:
        s = self._size
        self._buildings = np.zeros((s[1], 4), np.int64)
        self._leaves = np.zeros((s[2], k.LEAF_COLUMNS), np.int64)
        self._polygons = np.zeros((s[3], 8), np.int64)
        self._polygon_hash = np.zeros(s[3], np.uint64)
        self._rings = np.zeros(s[4], np.int64)
        self._coords = np.zeros((s[5], 3))
        self._hrefs = np.zeros((s[6], 4), np.int64)
        self._href_hash = np.zeros(s[6], np.uint64)
        self._declared = np.zeros((16384, 4), np.int64)

    def _canonical(self, raw: bytes) -> str:
        text = raw.decode("utf-8")
        prefix, _, local = text.rpartition(":")
        canonical = self._prefixes.get(prefix)
        if canonical is None:
            raise NeedsStrictError(text)
        meaning, families = VOCABULARY.get(local, (0, ""))
        if meaning and canonical not in families.split("|"):
            raise NeedsStrictError(text)
        return f"{canonical}:{local}"

    def scan(self, buffer: NDArray[np.uint8], size: int, first_line: int) -> tuple[RawTables, bool]:
        """Scan buffer[:size]; the flag says that the root element ended.

        Raises:
            NeedsStrictError: anything unusual; the caller reads the file with `strict` instead.
        """
        while True:
            before = int(self._counts[0])
            self._counts[1:] = 0
            status, at = k.scan(
                buffer, 0, size, self._header.dimension, *self._local,
                self._name_hash, self._name_value, self._meaning, self._span, self._counts,
                self._buildings, self._leaves, self._polygons, self._polygon_hash, self._rings,
                self._coords, self._hrefs, self._href_hash, self._declared,
            )  # fmt: skip
            if status != k.GROW:
                break
            # names met in the failed attempt stay in the hash table: forget them by rebuilding
            self._forget(before)
            self._size[at] *= 2
            if at == 3:
                self._size[4] = max(self._size[4], self._size[3])
            self._allocate()
        if status == k.NEEDS_STRICT:
            raise NeedsStrictError(str(at))
        if status == k.ROOT_END and bytes(buffer[at:size]).strip():
            raise NeedsStrictError("text after the root element")
        _, n_b, n_l, n_p, n_r, n_c, n_h, n_d, _ = (int(v) for v in self._counts)
        for row in self._declared[:n_d]:
            name = bytes(buffer[row[0] : row[1]]).decode()
            canonical = family(bytes(buffer[row[2] : row[3]]).decode())
            prefix = name[6:]
            if canonical is None or self._prefixes.setdefault(prefix, canonical) != canonical:
                raise NeedsStrictError(name)
        for span in self._span[before : int(self._counts[0])]:
            self._names.append(self._canonical(bytes(buffer[span[0] : span[1]])))
        rings = np.empty(n_r + 1, np.int64)
        rings[:n_r] = self._rings[:n_r]
        rings[n_r] = n_c
        return (
            RawTables(
                buffer=buffer, first_line=first_line, names=tuple(self._names),
                buildings=self._buildings[:n_b], leaves=self._leaves[:n_l],
                polygons=self._polygons[:n_p], polygon_hash=self._polygon_hash[:n_p],
                rings=rings, coords=self._coords[:n_c],
                hrefs=self._hrefs[:n_h], href_hash=self._href_hash[:n_h],
            ),
            status == k.ROOT_END,
        )  # fmt: skip

    def _forget(self, keep: int) -> None:
        self._name_hash, self._name_value = _table(2 * _NAMES)
        for i in range(keep):
            k.put(
                self._name_hash, self._name_value, np.uint64(self._span[i, 2].astype(np.uint64)), i
            )
        self._counts[0] = keep


def read_chunks(header: Header, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[RawTables, int]]:
    """Yield the tables of one chunk after another, with the offset reached in the file.

    The tables are views that the next chunk overwrites.

    Raises:
        NeedsStrictError: see `Scanner.scan`; also a file that ends before its root element does.
    """
    if not header.utf8 or not header.member:
        raise NeedsStrictError("header")
    with Path(header.path).open("rb") as handle:
        yield from _chunks(handle, header, chunk_bytes)


def _chunks(handle: BinaryIO, header: Header, chunk_bytes: int) -> Iterator[tuple[RawTables, int]]:
    prefix = header.member.rpartition(b":")[0]
    close = b"</" + (prefix + b":" if prefix else b"") + b"cityObjectMember>"
    first = handle.read(header.end)
    line = first.count(b"\n") + 1
    scanner = Scanner(header)
    buffer = np.empty(2 * chunk_bytes, np.uint8)
    filled = 0
    position = header.end
    while True:
        if filled + chunk_bytes > buffer.size:
            if buffer.size > 64 * chunk_bytes:
                raise NeedsStrictError("a member larger than 64 chunks")
            buffer = np.concatenate([buffer, np.empty(buffer.size, np.uint8)])
        got = handle.readinto(memoryview(buffer.data)[filled : filled + chunk_bytes])  # type: ignore[attr-defined]
        filled += got
        if got == 0:
            cut = filled
        else:
            cut = bytes(memoryview(buffer.data)[:filled]).rfind(close)
            if cut < 0:
                continue
            cut += len(close)
        tables, ended = scanner.scan(buffer, cut, line)
        position += cut
        yield tables, position
        if got == 0:
            if not ended:
                raise NeedsStrictError("the file ends before its root element does")
            return
        line += int(np.count_nonzero(buffer[:cut] == 10))
        rest = filled - cut
        buffer[:rest] = buffer[cut:filled].copy()
        filled = rest
