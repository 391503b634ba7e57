"""`init` and `certs`: a working directory with configuration, development PKI, keys, database."""

import secrets
from importlib.resources import as_file, files
from pathlib import Path
from runpy import run_path
from string import Template
from typing import Annotated, Any

import typer

from gateway.cli.output import HERE, Dir, Json, records
from gateway.errors import BadRequest, Misconfigured
from gateway.resources import folder
from gateway.settings import FILE, Settings, load

VALUES = {
    "oin": "00000099000000000100",  # OINs for tests begin with 00000099
    "zsm_oin": "00000099000000001000",
    "house_oin": "00000099000000002000",
    "landelijk_oin": "00000099000000003000",
    "politie_oin": "00000099000000004000",
    "dji_oin": "00000099000000005000",
    "gemeente_oin": "00000099000000006000",
    "reclassering_oin": "00000099000000007000",
    "rvdk_oin": "00000099000000015000",  # as in mappings/routing/instanties.toml
    "gcos_oin": "00000099000000011000",
    "zvh_oin": "00000099000000008000",
    "veilig_thuis_oin": "00000099000000014000",  # as in mappings/routing/veilig-thuis.toml
    "port": "8443",
    "management_port": "9443",
    "landelijk_port": "8444",
    "reclassering_port": "8445",
    "database": "sqlite:///gateway.db",
    "bus": "table",
    "bus_password": "",  # invented, for `gateway bus definitions` to make a user of
    "retry_ladder": "[10, 60, 600, 3600, 10800]",
}
"""What the template of gateway.toml leaves open."""

New = Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")]
Owners = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARTY", help="name:oin:organisation[:rsa]; without any, all of the configuration."
    ),
]
certs = typer.Typer(help="Certificates.", no_args_is_help=True)


def init(directory: New) -> None:
    """Make a working directory: gateway.toml, development PKI, keys, database."""
    make_directory(directory)
    typer.echo(f"{directory} is ready. Next: gateway run --dir {directory}")


def make_directory(directory: Path, **values: str) -> None:
    """
    Fill a new or empty folder; `values` replace those of the template.

    Raises:
        BadRequest: something is in the folder already, or it cannot be made; nothing was changed.
    """
    from gateway.store import upgrade

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadRequest(f"{directory} is not empty, and init never writes over anything.")
    except OSError as error:
        raise BadRequest(f"{directory} cannot be made: {error.strerror}.") from error
    values = {**VALUES, **values}
    template = Template((files("gateway.cli") / FILE).read_text("utf-8"))
    (directory / FILE).write_text(template.substitute(values), "utf-8")
    make_pki(directory / "pki", dir=directory)
    (directory / "keys" / "bodies").mkdir(mode=0o700, parents=True)
    for name, secret in (
        ("lane.key", secrets.token_bytes(32)),
        ("bus.key", secrets.token_bytes(32)),
        ("bus.password", (values["bus_password"] or secrets.token_urlsafe()).encode()),
    ):
        file = directory / "keys" / name
        file.touch(mode=0o600)  # unreadable for others before it holds anything
        file.write_bytes(secret)
    upgrade(load(directory).database_url)


@certs.command("make")
def make_pki(directory: New, party: Owners = None, dir: Dir = HERE) -> None:
    """Make a throw-away development PKI, with broken certificates to test with."""
    party = party or _parties(load(dir))
    with as_file(folder("certs") / "make_dev_pki.py") as path:  # a script, shipped as data
        maker = run_path(str(path))
    try:
        parties = [maker["Party"](*given.split(":")) for given in party]
        maker["make_pki"](directory, parties, broken=True)
    except TypeError as error:
        raise BadRequest("A party is written as name:oin:organisation[:rsa].") from error
    except FileExistsError as error:
        raise BadRequest(f"{directory} holds a PKI, and its CA is gone: use a new one.") from error


def _parties(settings: Settings) -> list[str]:
    """The gateway and all partners with certificates; the last, which has the broken ones, RSA."""
    partners = [(p.name, p.oin) for p in reversed(settings.partner) if p.enc_certificate]
    named = [("gateway", settings.oin), *partners]
    return [
        f"{name}:{oin}:{name} (ontwikkeling){':rsa' if (name, oin) == named[-1] else ''}"
        for name, oin in named
    ]


@certs.command("show")
def show(dir: Dir = HERE, json: Json = False) -> None:
    """Every certificate that the configuration names: whose it is, and until when."""
    settings = load(dir)
    named = [("gateway", use, getattr(settings, use).certificate) for use in ("tls", "sign")]
    named += [("gateway", "enc", pair.certificate) for pair in settings.enc]
    for entry in settings.partner:
        named += [(entry.name, "sign", path) for path in entry.sign_certificates]
        if entry.enc_certificate:
            named += [(entry.name, "enc", entry.enc_certificate)]
    rows = [{"owner": who, "use": use, **_told(settings.at(path))} for who, use, path in named]
    records("Certificates", rows, as_json=json, empty="The configuration names none.")


def _told(path: Path) -> dict[str, Any]:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} is no readable certificate in PEM") from error
    oin = found.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    return {
        "oin": oin[0].value if oin else "",
        "from": found.not_valid_before_utc.isoformat(),
        "until": found.not_valid_after_utc.isoformat(),
        "file": path,
    }
