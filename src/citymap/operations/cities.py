"""Several cities on one machine: `cities.toml`, which folder stands behind which path prefix.

Each city has a folder, a store and a pair of processes of its own; nothing here opens any of them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citymap.errors import BadInputError
from citymap.settings import FILE_NAME, Settings
from citymap.store.engine import FILE as STORE_FILE
from citymap.workspace import Workspace, toml_value, write_text

Prefix = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
RESERVED = frozenset({"cities", "assets"})  # paths of the front itself


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OneCity(_Strict):
    """A city behind `/<prefix>/`; its ports are only asked from this machine."""

    prefix: Prefix
    folder: Path
    port: Port
    staff_port: Port
    workers: int = Field(default=1, ge=1, le=64)
    job_workers: int = Field(default=1, ge=0, le=64)


class Cities(_Strict):
    """The whole file; `folder`s are absolute here, relative to the file there."""

    title: str = "citymap"
    host: str = Field(default="127.0.0.1", description="Address the front listens on")
    port: Port = Field(default=8500, description="Front of the public side")
    staff_port: Port = Field(default=8501, description="Front of the staff pages")
    first_port: Port = Field(default=8510, description="Ports of the cities start here")
    tls_cert: Path | None = None
    tls_key: Path | None = None
    city: tuple[OneCity, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Cities:
        ports = [
            self.port,
            self.staff_port,
            *(p for c in self.city for p in (c.port, c.staff_port)),
        ]
        for what, values in (
            ("prefix", [c.prefix for c in self.city]), ("port", ports),
            ("folder", [str(c.folder.resolve()) for c in self.city]),
        ):  # fmt: skip
            twice = sorted({str(v) for v in values if values.count(v) > 1})  # type: ignore[arg-type]
            if twice:
                raise ValueError(f"{what} twice: {', '.join(twice)}")
        for one in self.city:
            if one.prefix in RESERVED:
                raise ValueError(f"prefix {one.prefix} is reserved")
        return self


def read(path: Path) -> Cities:
    """The file.

    Raises:
        BadInputError: there is none, it is no TOML, or two cities share a prefix, folder or port.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        base = path.resolve().parent
        for one in data.get("city", []):
            one["folder"] = base / str(one.get("folder", ""))
        for key in ("tls_cert", "tls_key"):
            if key in data:
                data[key] = base / str(data[key])
        return Cities.model_validate(data)
    except FileNotFoundError as e:
        raise BadInputError("no_cities_file", path=path) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, TypeError) as e:
        reason = e.errors()[0]["msg"] if isinstance(e, ValidationError) else e
        raise BadInputError("bad_cities_file", place=str(path), reason=reason) from e


def write(path: Path, cities: Cities) -> None:
    """Write the file, folders relative to it where they lie below."""
    base = path.resolve().parent

    def said(value: object) -> str:
        if isinstance(value, Path):
            value = value.resolve()
            value = str(value.relative_to(base) if value.is_relative_to(base) else value)
        return toml_value(value)

    def lines(one: BaseModel, skip: str = "") -> list[str]:
        return [f"{k} = {said(v)}" for k, v in one if v is not None and k != skip]

    text = lines(cities, "city")
    for one in cities.city:
        text += ["", "[[city]]", *lines(one)]
    write_text(path, "\n".join(text) + "\n")


def init(path: Path, *, title: str, host: str, port: int, staff_port: int, first_port: int) -> Cities:  # fmt: skip
    """Make an empty file.

    Raises:
        BadInputError: there is one already.
    """
    if path.exists():
        raise BadInputError("cities_file_exists", path=path)
    made = Cities(title=title, host=host, port=port, staff_port=staff_port, first_port=first_port)
    write(path, made)
    return made


def add(path: Path, prefix: str, folder: Path) -> OneCity:
    """Enter a city with two free ports of its own.

    Raises:
        BadInputError: the folder holds no city, or the prefix or folder is taken.
    """
    cities = read(path)
    Workspace(folder).city()
    taken = {
        cities.port,
        cities.staff_port,
        *(p for c in cities.city for p in (c.port, c.staff_port)),
    }
    free = (p for p in range(cities.first_port, 65536) if p not in taken)
    one = {
        "prefix": prefix,
        "folder": folder.resolve(),
        "port": next(free),
        "staff_port": next(free),
    }
    try:
        made = OneCity.model_validate(one)
        longer = Cities.model_validate({**dict(cities), "city": (*cities.city, made)})
    except ValidationError as e:
        reason = e.errors()[0]["msg"]
        raise BadInputError("bad_cities_file", place=f"{path}: {prefix}", reason=reason) from e
    write(path, longer)
    return made


def remove(path: Path, prefix: str) -> None:
    """Take a city out of the file; its folder stays as it is.

    Raises:
        BadInputError: there is none behind this prefix.
    """
    cities = read(path)
    find(cities, prefix)
    kept = tuple(c for c in cities.city if c.prefix != prefix)
    write(path, cities.model_copy(update={"city": kept}))


def find(cities: Cities, prefix: str) -> OneCity:
    """The city behind a prefix.

    Raises:
        BadInputError: there is none.
    """
    for one in cities.city:
        if one.prefix == prefix:
            return one
    known = ", ".join(c.prefix for c in cities.city) or "–"
    raise BadInputError("no_such_city", prefix=prefix, known=known)


def settings_of(one: OneCity) -> Settings:
    """The city's own settings: `citymap.toml` in its folder, and nothing of the environment."""
    path = one.folder / FILE_NAME
    data = tomllib.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else {}
    data = {k: v for k, v in data.items() if k in Settings.model_fields and k != "city"}
    return Settings(**{**data, "city": one.folder})


def store_place(one: OneCity) -> str:
    """What names a city's store; two cities with one store would see each other's reports."""
    return settings_of(one).store or str((one.folder / STORE_FILE).resolve())


def check_stores(cities: Cities) -> None:
    """See that no two cities share a store.

    Raises:
        BadInputError: they do.
    """
    seen: dict[str, str] = {}
    for one in cities.city:
        place = store_place(one)
        if place in seen:
            raise BadInputError("cities_share_store", one=seen[place], other=one.prefix)
        seen[place] = one.prefix


_BLOCK = """server {{
  listen {port};
  # server_name …;  ssl_certificate …;  ssl_certificate_key …;
  client_max_body_size 64m;
{locations}  location / {{ proxy_pass http://127.0.0.1:{front}; proxy_set_header Host $http_host; }}
}}
"""
_LOCATION = """  location /{prefix}/ {{
    proxy_pass http://127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $citymap_connection;
    proxy_read_timeout 3600s;
    proxy_buffering off;
  }}
  location = /{prefix} {{ return 308 /{prefix}/; }}
"""


def nginx(cities: Cities, *, port: int, staff_port: int) -> str:
    """A configuration for nginx (inside `http {{ … }}`): the cities on `port` and `staff_port`, and the
    page of all cities from the built-in front.

    Raises:
        BadInputError: no city is entered yet, or the built-in front has one of the ports.
    """
    if not cities.city:
        raise BadInputError("no_cities")
    if {port, staff_port} & {cities.port, cities.staff_port} or port == staff_port:
        raise BadInputError("cities_nginx_port", port=port, staff_port=staff_port)
    parts = ["map $http_upgrade $citymap_connection { default upgrade; '' close; }\n"]
    for listen, front, which in (
        (port, cities.port, "port"), (staff_port, cities.staff_port, "staff_port")
    ):  # fmt: skip
        locations = "".join(
            _LOCATION.format(prefix=c.prefix, port=getattr(c, which)) for c in cities.city
        )
        parts.append(_BLOCK.format(port=listen, locations=locations, front=front))
    return "\n".join(parts)
