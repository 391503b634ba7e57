"""`init` and `certs`: a working directory with configuration, PKI, keys and database."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Annotated, Any

import typer

from gateway.cli.output import HERE, Dir, Json, records, say
from gateway.errors import BadRequest
from gateway.resources import folder
from gateway.settings import FILE, load

GATEWAY_OIN = "00000099000000001000"
ZSM_OIN = "00000099000000002000"
LANDELIJK_OIN = "00000099000000003000"
HOUSE_OIN = "00000099000000004000"
# The broken certificates bear the name of the last. RSA beside EC shows both key types.
PARTIES = (
    ("gateway", GATEWAY_OIN, "ZVH-gateway (ontwikkeling)", "ec"),
    ("landelijk", LANDELIJK_OIN, "Landelijk casussysteem (ontwikkeling)", "ec"),
    ("zsm", ZSM_OIN, "OM ZSM (ontwikkeling)", "rsa"),
)

certs = typer.Typer(help="Certificates.", no_args_is_help=True)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
) -> None:
    """Make a working directory: gateway.toml, development PKI, keys, database."""
    make_directory(directory)
    say(f"{directory} is ready. Next: gateway run --dir {directory}")


def make_directory(directory: Path, **changes: str) -> None:
    """
    Fill a new or empty folder; `changes` replace values of the template.

    Raises:
        BadRequest: something is in the folder already; nothing was changed.
    """
    from gateway.store import upgrade

    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadRequest(f"{directory} is not empty, and init never writes over anything.")
    except OSError as error:
        raise BadRequest(f"{directory} cannot be made: {error.strerror}.") from error
    directory.chmod(0o700)
    template = Template((files("gateway.cli") / FILE).read_text("utf-8"))
    (directory / FILE).write_text(template.substitute({**_values(), **changes}), "utf-8")
    _make_pki(directory / "pki", [":".join(party) for party in PARTIES])
    (directory / "keys" / "bodies").mkdir(parents=True, mode=0o700)
    for name in ("lane", "bus"):
        _write_secret(directory / "keys" / f"{name}.key", secrets.token_bytes(32))
    upgrade(load(directory).database_url)


def _values() -> dict[str, str]:
    return {
        "oin": GATEWAY_OIN,
        "zsm_oin": ZSM_OIN,
        "landelijk_oin": LANDELIJK_OIN,
        "house_oin": HOUSE_OIN,
        "port": "8443",
        "management_port": "9443",
        "landelijk_port": "8444",
        "bus": "table",
        "bus_password_file": "",
        "retry_ladder": "[10, 60, 600, 3600, 10800]",
    }


def _write_secret(file: Path, secret: bytes) -> None:
    """Unreadable for others from the first byte, not changed to it afterwards."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(secret)


def _pki_maker() -> ModuleType:
    """certs/make_dev_pki.py: a script of its own, shipped as data, so it is loaded by its path."""
    with as_file(folder("certs") / "make_dev_pki.py") as path:
        spec = spec_from_file_location("make_dev_pki", path)
        assert spec and spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def _make_pki(target: Path, parties: Sequence[str]) -> None:
    maker = _pki_maker()
    try:
        made = [maker.Party(*party.split(":")) for party in parties]
    except TypeError as error:
        raise BadRequest("a party is written as name:oin:organisation[:rsa]") from error
    try:
        maker.make_pki(target, made, broken=True)
    except FileExistsError as error:
        raise BadRequest(
            f"{target} already holds a PKI; its CA is gone, so make a new folder"
        ) from error


@certs.command("make")
def make(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make it in.")],
    party: Annotated[list[str], typer.Argument(help="name:oin:organisation[:rsa]")],
) -> None:
    """Make a throw-away development PKI, with broken certificates to test with."""
    _make_pki(directory, party)
    say(f"{directory} holds certificates for {len(party)} parties")


@certs.command("show")
def show(dir: Dir = HERE, json: Json = False) -> None:
    """Every certificate that the configuration names: whose it is and until when."""
    from cryptography import x509

    settings = load(dir)
    rows: list[Mapping[str, Any]] = []
    named = [
        ("gateway", "tls", settings.tls_certificate),
        ("gateway", "sign", settings.sign_certificate),
    ]
    for entry in settings.partner:
        for use in ("tls", "sign", "enc"):
            named += [(entry.name, use, path) for path in getattr(entry, f"{use}_certificates")]
    for owner, use, path in named:
        certificate = x509.load_pem_x509_certificate(read_certificate(settings.at(path)))
        serial = certificate.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
        rows.append(
            {
                "owner": owner,
                "use": use,
                "file": str(path),
                "oin": str(serial[0].value) if serial else "",
                "from": certificate.not_valid_before_utc.isoformat(),
                "until": certificate.not_valid_after_utc.isoformat(),
            }
        )
    records("Certificates", rows, as_json=json, empty="The configuration names none.")
