"""The configuration file: every mistake is told by the key as it stands there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from string import Template

import pytest

import gateway
from gateway.cli.setup import VALUES
from gateway.errors import Misconfigured
from gateway.settings import FILE, load, read_secret, read_text

TEMPLATE = Path(gateway.__file__).parent / "cli" / FILE


def written(folder: Path, *, replace: tuple[str, str] = ("", ""), **changes: str) -> Path:
    text = Template(TEMPLATE.read_text("utf-8")).substitute({**VALUES, **changes})
    assert replace[0] in text
    (folder / FILE).write_text(text.replace(*replace, 1) if replace[0] else text, "utf-8")
    return folder


def test_what_init_writes_is_read_back(tmp_path: Path) -> None:
    settings = load(written(tmp_path, port="8500", retry_ladder="[2, 5]"))

    assert (settings.port, settings.retry_ladder) == (8500, (2.0, 5.0))
    assert settings.database_url == f"sqlite:///{tmp_path}/gateway.db"
    assert settings.at(settings.tls.key) == tmp_path / "pki" / "gateway-tls.key"
    zsm, *_, landelijk = settings.partner
    assert (zsm.transport, zsm.dialects_for("bekendheidsuitslag")) == ("postbus", ["stuf-jz/1.0.9"])
    assert landelijk.url == f"https://127.0.0.1:{VALUES['landelijk_port']}/v1/berichten"
    assert landelijk.works_for("baronie") and not landelijk.works_for("elders")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("lane-key =", "lane-kee =", '"lane-kee" is no key here'),
        ("lane-key =", "lane-kee =", '"lane-key" is missing'),
        ('role = "om"', 'rol = "om"', '"partner.0.rol" is no key'),
        ('naam = "Zorg', 'name = "Zorg', '"huis.0.naam" is missing'),
        ("port = 8443", 'port = "veel"', '"port"'),
        ("port = 8443", "port = 70000", '"port"'),
        (f'oin = "{VALUES["zsm_oin"]}"', 'oin = "123"', '"partner.0.oin"'),
        ('houses = ["baronie"]', 'houses = ["breda"]', "works for breda, which is no huis"),
        ('name = "landelijk"', 'name = "zsm"', "two partners have the same name"),
        (
            'transport = "push"',
            'transport = "postbus"',
            '"url" belongs to transport "push" or "events"',
        ),
        ('url = "https://', 'url = "http://', '"url" must begin with https://'),
        ('bus = "table"', 'bus = "tabel"', '"bus" is "table" or begins with amqp://'),
        ('bus = "table"', 'bus = "amqp://u:hemel@h/"', 'put it in "bus-password-file"'),
        ('bus = "table"', 'bus = "amqp://u@mq.example/"', '"bus" sends a password in the clear'),
        ('bus = "table"', 'bus = "amqp://u@127.0.0.1,mq:1/"', "use amqps://"),
        ('bus = "table"', 'bus = "table"\nbus-management = "http://mq"', '"bus-management" sends'),
        ('bus = "table"', 'bus = "table"\nbus-management = "mq"', '"bus-management"'),
        (
            'bus = "table"',
            'bus = "table"\nbus-tls = { ca-certificates = "ca" }',
            '"bus-tls" belongs to a "bus" of amqps://',
        ),
        (
            'bus = "table"',
            'bus = "amqps://u@h/"\nbus-tls = { ca-certificates = "ca", key = "k" }',
            '"certificate" and "key" belong together',
        ),
        (
            'database = "sqlite:///gateway.db"',
            'database = "postgresql://u:hemel@h/d"',
            'put it in "database-password-file"',
        ),
        ("retry-ladder = [10,", "retry-ladder = [-1,", '"retry-ladder.0"'),
        ('oin = "', "oin = ", "cannot be used"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(written(tmp_path, replace=(old, new)))

    assert told in str(caught.value)
    assert FILE in str(caught.value)
    assert "hemel" not in str(caught.value), "values are not repeated: one may be a secret"


FOLDER = """
[[partner]]
name = "oud"
oin = "00000099000000004000"
systeem = "GCOS"
role = "gcos"
houses = ["baronie"]
dialects = { "casus" = "gcos-csv/1", "*" = "gcos/1.0" }
sends = ["casus"]
receives = ["bekendheidsverzoek"]
transport = "map"
"""


def test_a_partner_with_a_folder_needs_no_certificates(tmp_path: Path) -> None:
    file = written(tmp_path) / FILE
    file.write_text(file.read_text("utf-8") + FOLDER, "utf-8")

    gcos = load(tmp_path).partner[-1]
    assert ("map", (), None) == (gcos.transport, gcos.sign_certificates, gcos.enc_certificate)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('transport = "map"', 'transport = "postbus"', '"enc-certificate" are missing'),
        ('transport = "map"', 'transport = "map"\nurl = "https://x"', '"url" belongs to'),
        ('transport = "map"', 'transport = "schijf"', '.transport"'),
        ('name = "oud"', 'name = "../oud"', '.name" String'),
        (
            'transport = "map"',
            'transport = "map"\nenc-certificate = "x.crt"',
            '"sign-certificates" and',
        ),
    ],
)
def test_a_mistake_about_a_folder_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = written(tmp_path) / FILE
    assert old in FOLDER
    file.write_text(file.read_text("utf-8") + FOLDER.replace(old, new), "utf-8")

    with pytest.raises(Misconfigured) as caught:
        load(tmp_path)
    assert told in str(caught.value)


def test_no_working_directory_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="gateway init"):
        load(tmp_path)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZVH_GATEWAY_PORT", "8600")

    assert load(written(tmp_path)).port == 8600


def test_the_password_of_the_broker_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "keys" / "bus.password"
    secret.parent.mkdir()
    secret.write_text("a/b@c\n")
    secret.chmod(0o600)
    settings = load(written(tmp_path, bus="amqps://gateway@host:5672/%2F"))

    assert settings.bus_url == "amqps://gateway:a%2Fb%40c@host:5672/%2F"


def test_a_broker_may_have_several_nodes_and_be_in_the_clear_on_the_host_itself(
    tmp_path: Path,
) -> None:
    nodes = "amqps://gateway@mq1.example,mq2.example:5671/%2F"
    assert load(written(tmp_path, bus=nodes)).bus == nodes
    for host in ("127.0.0.1", "localhost", "[::1]:5672"):
        assert load(written(tmp_path, bus=f"amqp://gateway@{host}/%2F")).bus_management == ""


def test_the_password_of_the_database_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "keys" / "database.password"
    secret.parent.mkdir()
    secret.write_text("a/b@c\n")
    secret.chmod(0o600)
    at = 'database = "postgresql://zvh@host/zvh?sslmode=verify-full"'
    at += '\ndatabase-password-file = "keys/database.password"'
    settings = load(written(tmp_path, replace=('database = "sqlite:///gateway.db"', at)))

    expected = "postgresql://zvh:a%2Fb%40c@host/zvh?sslmode=verify-full"
    assert settings.database_url == expected


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "lane.key"
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o644)

    with pytest.raises(Misconfigured, match="chmod 600"):
        read_secret(secret)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_named_file_that_is_no_text_is_told_by_its_path(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "doelbinding.toml"
    if content:
        file.write_bytes(content)

    with pytest.raises(Misconfigured, match=r"doelbinding\.toml cannot be read"):
        read_text(file)


def test_a_house_exists_on_its_first_and_on_its_last_day(tmp_path: Path) -> None:
    file = written(tmp_path) / FILE
    text = file.read_text("utf-8")
    file.write_text(text.replace("2020-01-01", "2020-01-01\ngeldig-tot = 2026-12-31"), "utf-8")
    (house,) = load(tmp_path).huis

    days = (date(2019, 12, 31), date(2020, 1, 1), date(2026, 12, 31), date(2027, 1, 1))
    assert [False, True, True, False] == [house.exists_on(day) for day in days]
    assert [0, 1, 1, 0] == [len(load(tmp_path).houses(day)) for day in days]
