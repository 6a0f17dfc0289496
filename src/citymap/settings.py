"""Settings from `citymap.toml` and the environment (`CITYMAP_*`), read at the top floor and passed down."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from citymap.errors import CitymapError, UsageError
from citymap.i18n import DEFAULT_LANGUAGE, LANGUAGES

PREFIX = "CITYMAP_"
FILE_NAME = "citymap.toml"
CONFIG = "CITYMAP_CONFIG"  # names the one file to read
TESTS = "CITYMAP_TEST_"  # the test suite's own
Port = Annotated[int, Field(ge=1, le=65535)]
PerMinute = Annotated[int, Field(ge=0, le=10_000_000)]


class Settings(BaseSettings):
    """What an operator may set; every field is `CITYMAP_<NAME>` and a key of `citymap.toml`.

    The environment wins over the city's `citymap.toml`, which wins over the one in the current
    directory; `CITYMAP_CONFIG` names the only file to read instead. Relative paths in a file start
    at that file's folder.

    Raises:
        UsageError: a key or `CITYMAP_*` variable that does not exist, or a value out of range.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    city: Path | None = Field(default=None, description="The city folder (workspace)")
    lang: Literal["ja", "en"] = Field(
        default="ja", description="Language of messages on the terminal"
    )
    host: str = Field(default="127.0.0.1", description="Address that `serve` listens on")
    port: Port = Field(default=8500, description="Port of the public process")
    staff_port: Port = Field(default=8501, description="Port of the staff process")
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes of the public side")
    online_base: bool = Field(
        default=False, description="Offer 地理院タイル as a base map (needs the internet)"
    )
    root_path: str = Field(default="", description="Path prefix behind a reverse proxy, e.g. /sano")
    public_url: str = Field(
        default="",
        description="Address of the residents' page as residents reach it; the QR codes of paper maps say it",
    )
    tls_cert: Path | None = Field(default=None, description="Certificate (PEM) of `serve`")
    tls_key: Path | None = Field(default=None, description="Private key (PEM) of the certificate")
    trusted_proxy: str = Field(
        default="", description="Address of the reverse proxy whose headers count"
    )
    store: str = Field(
        default="",
        repr=False,
        description="postgresql://… instead of the embedded store.sqlite",
    )
    photos: str = Field(
        default="",
        description="s3://bucket/prefix for photos of reports instead of the city's folder",
    )
    photos_endpoint: str = Field(
        default="", description="http(s)://host:port of the S3-compatible server; empty: AWS"
    )
    photos_region: str = Field(default="", description="Region of the bucket")
    photos_key: str = Field(default="", description="Access key id of the bucket")
    photos_secret: str = Field(default="", repr=False, description="Secret key of the bucket")
    photos_ca: Path | None = Field(
        default=None, description="Certificate authority (PEM) of the S3-compatible server"
    )
    scheduler: str = Field(default="", description="tcp://… of a Dask cluster for long work")
    job_workers: int = Field(
        default=1, ge=0, le=64, description="Worker processes for jobs that `serve` starts"
    )
    single_user: bool | None = Field(
        default=None,
        description="One PC without log-in (loopback only); default: until the first account",
    )
    session_hours: float = Field(
        default=12, gt=0, le=168, description="Hours after which a person logs in again"
    )
    oidc_issuer: str = Field(
        default="",
        description="Identity provider (OpenID Connect issuer URL); none: local accounts",
    )
    oidc_client_id: str = Field(default="", description="Our id at the identity provider")
    oidc_client_secret: str = Field(
        default="", repr=False, description="Our secret at the identity provider"
    )
    oidc_name_claim: str = Field(
        default="preferred_username", description="Claim that names a person"
    )
    oidc_role_claim: str = Field(default="groups", description="Claim that lists a person's groups")
    oidc_roles: Annotated[tuple[tuple[str, str], ...], NoDecode] = Field(
        default=(), description="Role of a group: group=role, separated by commas"
    )
    remote_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Servers whose layers may be shown: host names, or .example.jp for all below",
    )
    remote_private: bool = Field(
        default=False,
        description="Let those servers have private addresses (a GIS of your network)",
    )
    mqtt_logins: Annotated[tuple[tuple[str, str], ...], NoDecode] = Field(
        default=(),
        repr=False,
        description="Log-ins at MQTT brokers by the feed's id: user:password",
    )
    catalogue: str = Field(default="", description="Catalogue URL of `citymap fetch`")
    run_folder: Path | None = Field(
        default=None,
        description="Folder for counters shared by the processes; else a temporary one",
    )
    rate_api_per_minute: PerMinute = Field(
        default=1200, description="API requests a minute from one address; 0: no limit"
    )
    rate_write_per_minute: PerMinute = Field(
        default=120, description="POST, PUT, PATCH, DELETE a minute from one address; 0: no limit"
    )
    rate_files_per_minute: PerMinute = Field(
        default=0, description="Tiles and renderer files a minute to one address; 0: no limit"
    )
    rate_account_per_minute: PerMinute = Field(
        default=2400, description="Requests a minute of one logged-in session; 0: no limit"
    )
    sockets_per_address: int = Field(
        default=64, ge=1, le=100_000, description="Open WebSockets from one address"
    )
    sockets_total: int = Field(
        default=400, ge=1, le=100_000, description="Open WebSockets of the staff process"
    )
    request_timeout_s: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds until a silent request is given up"
    )
    upload_max_mb: int = Field(
        default=50, ge=1, le=2000, description="Largest file uploaded on a staff page, MB"
    )
    report_max_mb: int = Field(
        default=25, ge=1, le=100, description="Largest damage report with its photos, MB"
    )
    board_hour: int = Field(
        default=7,
        ge=-1,
        le=23,
        description="Hour (Japan) of the daily summary of reports; -1: none",
    )
    rate_reports_per_device: PerMinute = Field(
        default=30, description="Damage reports a minute from one device; 0: no limit"
    )
    rate_reports_per_minute: PerMinute = Field(
        default=600, description="Damage reports a minute from one address; 0: no limit"
    )
    metrics_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.1", "::1"),
        description="Addresses or networks that may read /metrics, separated by commas",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines of the log: for people, or JSON for machines"
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as e:
            raise _said(e, values) from e

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, text: str) -> str:
        plain = text.strip("/")
        if plain and not re.fullmatch(
            r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", plain
        ):
            raise ValueError("letters, digits, - _ . ~ and / only")
        return f"/{plain}" if plain else ""

    @field_validator("photos")
    @classmethod
    def _bucket(cls, text: str) -> str:
        if text and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,62}(/[\w.-]+)?/?", text, re.ASCII):
            raise ValueError("s3://bucket or s3://bucket/prefix")
        return text

    @field_validator("photos_endpoint")
    @classmethod
    def _endpoint(cls, text: str) -> str:
        if text and not re.fullmatch(r"https?://[\w.:\[\]-]+/?", text, re.ASCII):
            raise ValueError("http://host:port or https://host:port")
        return text

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _roles(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().rpartition("=") for part in value.split(",") if part.strip()]
        known = {"field", "staff", "planner", "admin"}
        if any(not group or role not in known for group, _, role in pairs):
            raise ValueError("group=role, with role one of field, staff, planner, admin")
        return tuple((group, role) for group, _, role in pairs)

    @field_validator("mqtt_logins", mode="before")
    @classmethod
    def _logins(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise ValueError('JSON: {"feed": "user:password"}')
        return tuple(value.items()) if isinstance(value, dict) else value  # settings are hashed

    @field_validator("metrics_allow", "remote_hosts", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("metrics_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ip_network(text, strict=False)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the files."""
        del dotenv_settings, file_secret_settings
        _check_environment()
        city = init_settings().get("city") or os.environ.get(f"{PREFIX}CITY")
        return (
            init_settings,
            env_settings,
            *(_TomlFile(settings_cls, path) for path in files(city)),
        )


class _TomlFile(PydanticBaseSettingsSource):
    """One `citymap.toml` whose keys are checked."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        super().__init__(settings_cls)
        self._path = path

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See pydantic-settings; the whole file is read at once instead."""
        del field
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The keys of the file, paths made absolute.

        Raises:
            UsageError: not TOML, or a key that does not exist.
        """
        data = _read(self._path)
        for key in data:
            if key not in Settings.model_fields:
                raise _unknown(key, place=_place(self._path, key), known=Settings.model_fields)
        for key in PATHS & data.keys():
            if isinstance(data[key], str):
                data[key] = self._path.resolve().parent / data[key]
        return data


PATHS = {"city", "tls_cert", "tls_key", "run_folder", "photos_ca"}


def files(city: str | Path | None) -> list[Path]:
    """The settings files that count, the stronger first.

    Raises:
        UsageError: `CITYMAP_CONFIG` names a file that is not there.
    """
    named = os.environ.get(CONFIG)
    if named:
        if not Path(named).is_file():
            raise UsageError("not_found", place=CONFIG, path=named)
        return [Path(named)]
    here = Path(FILE_NAME)
    if not city and here.is_file():  # the file of the current directory may name the city
        city = here.resolve().parent / str(_read(here).get("city", "."))
    there = [Path(city) / FILE_NAME] if city else []
    found = [path for path in (*there, here) if path.is_file()]
    return found[:1] if len(found) == 2 and found[0].samefile(found[1]) else found


def terminal_language() -> str:
    """The language of messages on the terminal, also where the settings are wrong: never raises."""
    try:
        return Settings().lang
    except CitymapError:
        pass
    asked = os.environ.get(f"{PREFIX}LANG", "")
    return asked if asked in LANGUAGES else DEFAULT_LANGUAGE


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as e:
        raise UsageError("bad_settings_file", place=str(path), reason=e) from e


def _place(path: Path, key: str) -> str:
    pattern = re.compile(rf"""^\s*(\[\s*)?["']?{re.escape(key)}["']?\s*[\]=.]""")
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if pattern.match(line):
            return f"{path}:{number}"
    return str(path)


def _check_environment() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG}
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not upper.startswith(TESTS):
            raise _unknown(upper, place=name, known=known)


def _unknown(key: str, *, place: str, known: Iterable[str]) -> UsageError:
    names = sorted(known)
    nearest = get_close_matches(key, names, n=1, cutoff=0.0)[0]
    return UsageError(
        "unknown_setting", place=place, key=key, suggestion=nearest, known=", ".join(names)
    )


def _said(error: ValidationError, values: Mapping[str, Any]) -> UsageError:
    """The first wrong value in our own words, with the place where it stands."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    variable = f"{PREFIX}{key.upper()}"
    if key not in Settings.model_fields:
        return _unknown(key, place=key, known=Settings.model_fields)
    place: str | None = None
    if key not in values:
        if variable in os.environ:
            place = variable
        else:
            city = values.get("city") or os.environ.get(f"{PREFIX}CITY")
            place = next((_place(p, key) for p in files(city) if key in _read(p)), None)
    secret = key == "store" or not Settings.model_fields[key].repr
    shown = "…" if secret else repr(first["input"])
    return UsageError("bad_setting", place=place, key=key, value=shown, reason=first["msg"])
