"""An S3-compatible server that holds the photos of reports, where the city has one.

What stands here knows objects by name; which photo is kept where is decided in `photos`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from citymap.store import StoreError

if TYPE_CHECKING:
    from citymap.settings import Settings
    from citymap.workspace import Workspace

PATIENCE_S = 15.0  # for one object; a sender waits meanwhile
AWAY_S = 30.0  # after a failure nobody waits for the server again so soon
AT_ONCE = 8
_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class AwayError(StoreError):
    """The server does not answer, refuses us, or has not what it should have."""

    def __init__(self, place: str, reason: str = "") -> None:
        super().__init__("photos_away", place=place, reason=reason or "-")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the photos are; `prefix` begins their names, `endpoint` is empty for AWS itself."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    key: str
    secret: str = field(repr=False)
    ca: str = ""


class Bucket:
    """Objects of one bucket; safe between threads. An object is there when `put` returns.

    Names have no folders: S3 has none either, and clients disagree about what an empty one is.
    """

    def __init__(
        self, address: Address, *, patience_s: float = PATIENCE_S, away_s: float = AWAY_S
    ) -> None:
        self.address = address
        self._patience_s, self._away_s = patience_s, away_s
        self._opened: fs.S3FileSystem | None = None
        self._opening = Lock()
        self._hands = ThreadPoolExecutor(AT_ONCE, "photos")
        self._away_until = 0.0

    @property
    def place(self) -> str:
        """The address for people, without secrets."""
        return (
            f"s3://{self.address.bucket}/{self.address.prefix} ({self.address.endpoint or 'AWS'})"
        )

    @property
    def away(self) -> bool:
        """Whether the server failed a moment ago."""
        return time.monotonic() < self._away_until

    def _files(self) -> fs.S3FileSystem:
        """The client; S3 itself starts with the first use, never before a fork."""
        with self._opening:
            if self._opened is None:
                # Trailing checksums are an invention of AWS that many compatible servers refuse; the
                # payload is signed or inside TLS, and `photos` checks what it reads.
                os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
                scheme, _, host = self.address.endpoint.rpartition("://")
                self._opened = fs.S3FileSystem(
                    access_key=self.address.key or None, secret_key=self.address.secret or None,
                    region=self.address.region or ("us-east-1" if host else None),
                    endpoint_override=host or None, scheme=scheme or "https",
                    background_writes=False, allow_delayed_open=True, connect_timeout=3.0, request_timeout=10.0,
                    tls_ca_file_path=self.address.ca or None,
                    retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
                )  # fmt: skip
            return self._opened

    def _in_time(self, deed: Callable[[fs.S3FileSystem], T]) -> T:
        """Do it within our patience.

        Raises:
            AwayError: the server is away, slow or refuses; for a while nobody asks again.
        """
        if self.away:
            raise AwayError(self.place)
        try:
            return self._hands.submit(lambda: deed(self._files())).result(self._patience_s)
        except FileNotFoundError:
            raise
        except (OSError, LateError, AwayError, pa.ArrowException) as error:
            self._away_until = time.monotonic() + self._away_s
            reason = str(error).partition("\n")[0][:300] or type(error).__name__
            _LOG.warning(
                "the store of photos is away", extra={"place": self.place, "reason": reason}
            )
            raise AwayError(self.place, reason) from error

    def _path(self, name: str) -> str:
        return f"{self.address.bucket}/{self.address.prefix}{name}"

    def put(self, name: str, body: bytes, media_type: str) -> None:
        """Keep an object; the server has acknowledged all of it when this returns.

        Raises:
            AwayError: it has not.
        """

        def deed(files: fs.S3FileSystem) -> None:
            described = {"Content-Type": media_type}
            with files.open_output_stream(self._path(name), metadata=described) as sink:
                sink.write(body)
            info = files.get_file_info(self._path(name))
            if info.size != len(body):
                raise AwayError(self.place, f"{name}: {info.size} of {len(body)} bytes")

        try:
            self._in_time(deed)
        except FileNotFoundError as error:  # there is no such bucket
            raise AwayError(self.place, str(error)[:300]) from error

    def get(self, name: str) -> bytes | None:
        """An object whose content fits its name (SHA-256); None where there is none such.

        Raises:
            AwayError: the server cannot be asked.
        """

        def deed(files: fs.S3FileSystem) -> bytes:
            with files.open_input_stream(self._path(name)) as source:
                return bytes(source.read())

        try:
            body = self._in_time(deed)
        except FileNotFoundError:
            return None
        if hashlib.sha256(body).hexdigest() != name.partition(".")[0]:
            _LOG.error("a photo does not fit its checksum", extra={"photo": name})
            return None
        return body

    def remove(self, name: str) -> None:
        """Remove an object; nothing there is fine.

        Raises:
            AwayError: it may still be there.
        """

        def deed(files: fs.S3FileSystem) -> None:
            if files.get_file_info(self._path(name)).type is not fs.FileType.NotFound:
                files.delete_file(self._path(name))

        self._in_time(deed)

    def names(self) -> Iterator[tuple[str, datetime]]:
        """Every object with the time of its last change.

        Raises:
            AwayError: the server cannot be asked, or has no such bucket.
        """

        def deed(files: fs.S3FileSystem) -> list[Any]:
            selector = fs.FileSelector(self.address.bucket)
            return list(files.get_file_info(selector))

        prefix = self.address.prefix
        for info in self._in_time(deed):
            if info.type is fs.FileType.File and info.base_name.startswith(prefix):
                yield info.base_name.removeprefix(prefix), info.mtime or datetime.now(UTC)


_BUCKETS: dict[str, Bucket] = {}


def use(workspace: Workspace, bucket: Bucket | None) -> None:
    """Say where the photos of a city are; None: in its folder."""
    name = str(workspace.root.resolve())
    if bucket is None:
        _BUCKETS.pop(name, None)
    elif name not in _BUCKETS or _BUCKETS[name].address != bucket.address:
        _BUCKETS[name] = bucket


def of(workspace: Workspace) -> Bucket | None:
    """The server that holds the city's photos; None where its folder does."""
    return _BUCKETS.get(str(workspace.root.resolve()))


def named(settings: Settings) -> Bucket | None:
    """The server that the settings name."""
    if not settings.photos:
        return None
    folder, _, prefix = settings.photos.removeprefix("s3://").strip("/").partition("/")
    return Bucket(Address(
        folder, f"{prefix}-" if prefix else "", settings.photos_endpoint.rstrip("/"),
        settings.photos_region, settings.photos_key, settings.photos_secret,
        str(settings.photos_ca or ""),
    ))  # fmt: skip
