"""Settings from the environment (`CITYMAP_*`), read at the top floor and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set; every field is `CITYMAP_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CITYMAP_", extra="ignore")

    city: Path | None = Field(default=None, description="The city folder (workspace)")
    lang: Literal["ja", "en"] = Field(
        default="ja", description="Language of messages on the terminal"
    )
    host: str = Field(default="127.0.0.1", description="Address that `serve` listens on")
    port: int = Field(default=8500, ge=1, le=65535, description="Port of the public process")
    staff_port: int = Field(default=8501, ge=1, le=65535, description="Port of the staff process")
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes of the public side")
    online_base: bool = Field(
        default=False, description="Offer 地理院タイル as a base map (needs the internet)"
    )
    root_path: str = Field(default="", description="Path prefix behind a reverse proxy, e.g. /sano")
