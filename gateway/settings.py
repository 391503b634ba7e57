"""What an installation decides: `gateway.toml` in the working directory. Holds no secret itself."""

import os
import tomllib
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, PositiveFloat, model_validator
from pydantic.dataclasses import dataclass
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.errors import Misconfigured
from gateway.model.partner import Partner
from gateway.model.toml import CLOSED, Part, Text, explain, kebab
from gateway.model.waarden import Oin

FILE = "gateway.toml"
DIR_VARIABLE = "ZVH_GATEWAY_DIR"


class Keys(Part):
    """A certificate and its private key, PEM."""

    certificate: Path
    key: Path


class BusTls(Part):
    """Whom to trust as the broker, and who we are to it if it asks; PEM."""

    ca_certificates: Path
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError('"certificate" and "key" belong together')
        return self


@dataclass(frozen=True, kw_only=True, config={**CLOSED, "validate_by_name": True})
class PartnerEntry(Partner):
    """One `[[partner]]`: the agreement, as the core knows it, and the certificates."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]  # part of a queue's name
    oin: Oin
    systeem: Text
    role: Text
    transport: Literal["push", "postbus", "map", "events"] = "postbus"
    deadline_hours: PositiveFloat = 72.0
    sign_certificates: tuple[Path, ...] = ()
    enc_certificate: Path | None = None

    @model_validator(mode="after")
    def _push_has_an_address(self) -> Self:
        if (self.transport in ("push", "events")) != bool(self.url):
            raise ValueError('"url" belongs to transport "push" or "events", and only to those')
        if self.url and not self.url.startswith("https://"):
            raise ValueError('"url" must begin with https://')
        return self

    @model_validator(mode="after")
    def _certificates(self) -> Self:
        """A partner with a folder signs and opens nothing, so it needs none; else it has both."""
        wanted = self.transport != "map" or self.sign_certificates or self.enc_certificate
        if wanted and not (self.sign_certificates and self.enc_certificate):
            raise ValueError('"sign-certificates" and "enc-certificate" are missing')
        return self


class Huis(Part):
    """One `[[huis]]`: a Zorg- en Veiligheidshuis, and since when it is (or until when it was) one."""

    code: Text
    naam: Text
    oin: Oin
    geldig_van: date
    geldig_tot: date = date.max  # its last day, as in mappings/routing

    def exists_on(self, day: date) -> bool:
        return self.geldig_van <= day <= self.geldig_tot


class Settings(BaseSettings):
    """
    The whole configuration. Consistent in itself; whether the files it names exist is not checked.

    Paths are relative to the working directory (`at`). The environment wins over the file:
    `ZVH_GATEWAY_<KEY>`, for containers.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="ZVH_GATEWAY_")

    directory: Path
    oin: Oin
    systeem: Text

    host: str = "127.0.0.1"
    port: int = Field(8443, ge=0, le=65535)
    address: str = ""  # as partners know it; empty: https://<host>:<port>
    management_port: int = Field(9443, ge=0, le=65535)

    database: str = "sqlite:///gateway.db"
    database_password_file: Path | None = None
    bus: str = "table"
    bus_password_file: Path | None = None
    bus_tls: BusTls | None = None
    bus_management: str = Field("", pattern=r"^(https?://.+)?$")  # of the broker

    tls: Keys
    sign: Keys
    enc: tuple[Keys, ...] = Field(min_length=1)
    ca_certificates: Path
    crl: Path
    body_keys: Path
    lane_key: Path
    bus_key: Path

    retry_ladder: tuple[PositiveFloat, ...] = Field((10, 60, 600, 3600, 10800), min_length=1)
    drain_seconds: float = Field(default=5, ge=0)  # two looks of a load balancer
    worker_threads: int = Field(default=4, ge=1, le=64)
    four_eyes_above: int = Field(default=50, ge=0)  # a repair of more needs a second person
    schema_folder: Path | None = None
    doelbinding: Path | None = None

    partner: tuple[PartnerEntry, ...] = ()
    huis: tuple[Huis, ...] = ()

    @classmethod
    def settings_customise_sources(cls, _: Any, /, **sources: Any) -> tuple[Any, ...]:  # type: ignore[override]
        return sources["env_settings"], sources["init_settings"]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({entry.name for entry in self.partner}) < len(self.partner):
            raise ValueError("two partners have the same name")
        if len({(entry.oin, entry.systeem) for entry in self.partner}) < len(self.partner):
            raise ValueError("two partners have the same oin and systeem")
        known = {"*", *(huis.code for huis in self.huis)}
        for entry in self.partner:
            if strange := sorted(entry.houses - known):
                raise ValueError(f"partner {entry.name} works for {strange[0]}, which is no huis")
        if self.bus != "table" and not self.bus.startswith(("amqp://", "amqps://")):
            raise ValueError('"bus" is "table" or begins with amqp:// or amqps://')
        for name in ("database", "bus"):
            if urlsplit(getattr(self, name)).password is not None:
                raise ValueError(f'"{name}" holds a password: put it in "{name}-password-file"')
        if self.bus_tls and not self.bus.startswith("amqps://"):
            raise ValueError('"bus-tls" belongs to a "bus" of amqps://')
        for name in ("bus", "bus_management"):
            scheme, _, rest = getattr(self, name).partition("://")
            if scheme in ("amqp", "http") and not all(map(_loopback, _hosts(rest))):
                raise ValueError(f'"{kebab(name)}" sends a password in the clear: use {scheme}s://')
        return self

    def houses(self, day: date) -> dict[str, str]:
        """Code by OIN of the houses that exist on this day."""
        return {house.oin: house.code for house in self.huis if house.exists_on(day)}

    def at(self, path: Path) -> Path:
        """A configured path as seen from anywhere."""
        return self.directory / path

    @property
    def own_address(self) -> str:
        """Where partners find the API, without a slash at the end."""
        return (self.address or f"https://{self.host}:{self.port}").rstrip("/")

    @property
    def database_url(self) -> str:
        """The database: an SQLite file as an absolute path, a server with its password. Raises Misconfigured."""
        scheme, _, path = self.database.partition(":///")
        if scheme == "sqlite":
            return f"{scheme}:///{self.at(Path(path))}"
        return self._with_password(self.database, self.database_password_file)

    @property
    def bus_url(self) -> str:
        """`table`, or the broker with its password. Raises Misconfigured."""
        return self._with_password(self.bus, self.bus_password_file)

    def _with_password(self, url: str, file: Path | None) -> str:
        if not file or "@" not in url:
            return url
        scheme, _, rest = url.partition("://")
        user, _, host = rest.rpartition("@")
        password = read_secret(self.at(file)).decode().strip()
        return f"{scheme}://{user}:{quote(password, safe='')}@{host}"


def load(directory: Path) -> Settings:
    """
    The settings in a working directory.

    Raises:
        Misconfigured: no such file, not TOML, an unknown key, or a value that cannot be.
    """
    file = directory / FILE
    try:
        found = tomllib.loads(file.read_text("utf-8"))
        found = {key.replace("-", "_"): value for key, value in found.items()}
        return Settings(**{**found, "directory": directory.resolve()})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Misconfigured(
            f"{file} does not exist: make a working directory with `gateway init DIR`, "
            f"or point at one with --dir or {DIR_VARIABLE}"
        ) from error
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file} cannot be used: {explain(error)}") from None


def _hosts(rest: str) -> list[str]:
    """The hosts of a URL that may name several with a comma; `rest` is what follows `://`."""
    return [
        urlsplit(f"//{host}").hostname or ""
        for host in rest.partition("/")[0].rpartition("@")[2].split(",")
    ]


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_secret(file: Path) -> bytes:
    """
    The bytes of a key or password file.

    Raises:
        Misconfigured: it cannot be read, or others than its owner may read it.
    """
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise Misconfigured(f"{file} is readable by others: run `chmod 600 {file}`")
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error


def read_text(file: Path) -> str:
    """The text of a file that the configuration names. Raises Misconfigured."""
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file} cannot be read as text") from error
