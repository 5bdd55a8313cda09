"""The console's settings, each a ``VIWORKS_*`` environment variable."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _loopback() -> list[IPv4Network | IPv6Network]:
    return [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]


class ConsoleSettings(BaseSettings):
    """What the console needs to know."""

    model_config = SettingsConfigDict(env_prefix="VIWORKS_", extra="ignore", frozen=True)

    console_host: str = "127.0.0.1"
    console_port: int = 8090
    console_allow: list[IPv4Network | IPv6Network] = Field(default_factory=_loopback)
    sql_host: str = "127.0.0.1"
    sql_port: int = 8123
    sql_token_file: Path
