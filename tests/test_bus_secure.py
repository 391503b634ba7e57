"""The broker as it is in production: TLS, a user that may do little, definitions imported at boot."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pika
import pytest
from pika import exceptions
from typer.testing import CliRunner

from gateway.bus import Address, User, check, dead_letters, loads, open_bus
from gateway.bus.topology import Topology
from gateway.cli import app
from gateway.errors import BusUnavailable, Misconfigured
from gateway.security.tls import TlsFiles, broker_context
from gateway.simulators.broker import PrivateBroker

from .broker import ADMIN, GATEWAY, control, own_broker, require_rabbitmq
from .pki import dev_pki_module
from .process import made
from .test_bus import PARTNERS, Deliveries, deliver, until

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """Booted from its definitions, with a management API."""
    folder = tmp_path_factory.mktemp("broker")
    with own_broker(folder, PARTNERS, management=True) as broker:
        yield broker


@contextmanager
def channel_of(broker: PrivateBroker, user: User = GATEWAY) -> Iterator[Any]:
    with pika.BlockingConnection(pika.URLParameters(broker.url_of(user))) as connection:
        yield connection.channel()


def test_what_it_needs_is_there_after_the_boot_and_it_works(broker: PrivateBroker) -> None:
    source = Deliveries()
    ids = source.add(20)
    with closing(open_bus(Address(broker.url, PARTNERS), source=source)) as bus:
        assert bus.pump() == 20
        assert sorted(ids) == sorted(deliver(bus, source))
        assert set(bus.status()) == {"uit.landelijk", "uit.zsm", "zvh.dood"}
        bus.ping()


def test_nobody_gets_in_as_guest(broker: PrivateBroker) -> None:
    with (
        pytest.raises(exceptions.AMQPConnectionError),
        channel_of(broker, User("guest", "guest")),
    ):
        pass


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda channel: channel.queue_declare("uit.nieuw", durable=True),
        lambda channel: channel.queue_delete("uit.zsm"),
        lambda channel: channel.exchange_declare("zvh.nieuw"),
        lambda channel: channel.exchange_delete("zvh.uit"),
        lambda channel: channel.queue_bind("uit.zsm", "zvh.uit", "iets"),
        lambda channel: channel.queue_unbind("uit.zsm", "zvh.uit", "zsm"),
        lambda channel: channel.basic_get("vreemd"),
        lambda channel: channel.basic_consume("vreemd", print),
        lambda channel: channel.queue_purge("vreemd"),
        lambda channel: (
            channel.confirm_delivery(),
            channel.basic_publish("amq.topic", "x", b"", mandatory=True),
        ),
    ],
    ids=[
        *("declare", "delete", "exchange", "unexchange", "bind", "unbind"),
        *("read", "consume", "purge", "publish"),
    ],
)
def test_the_user_of_the_gateway_may_do_no_more_than_it_needs(
    broker: PrivateBroker, forbidden: Callable[[Any], object]
) -> None:
    with channel_of(broker, ADMIN) as channel:
        channel.queue_declare("vreemd", durable=True)
    with pytest.raises(exceptions.ChannelClosedByBroker) as refused, channel_of(broker) as channel:
        forbidden(channel)
    assert refused.value.reply_code == 403


# --- the check ------------------------------------------------------------------------------------


def test_the_check_without_rights_sees_names_only_and_says_so(broker: PrivateBroker) -> None:
    assert check(Address(broker.url, PARTNERS)) == ([], False)
    found = check(Address(broker.url, (*PARTNERS, "ander")))
    assert len(found.differences) == 1 and "uit.ander" in found.differences[0]


def test_the_check_by_the_management_api_sees_everything_without_rights(
    broker: PrivateBroker,
) -> None:
    assert check(Address(broker.url, PARTNERS, management=broker.api)) == ([], True)


def test_the_check_names_every_difference(broker: PrivateBroker) -> None:
    """All at once, each as a sentence: what is missing, of another shape, and too many."""
    topology = Topology.load()
    with channel_of(broker, ADMIN) as channel:
        channel.queue_bind("uit.zsm", "zvh.uit", "vreemd")
        channel.queue_unbind("uit.landelijk", "zvh.uit", "landelijk")
        channel.queue_delete("uit.landelijk")
        limits = topology.partner.arguments | {"x-max-length": 5}
        channel.queue_declare("uit.landelijk", durable=True, arguments=limits)
        channel.queue_delete("zvh.dood")
        channel.queue_declare("zvh.dood", auto_delete=True)
        channel.exchange_delete("zvh.dood")
        channel.exchange_declare("zvh.dood", "topic")
    try:
        found = check(Address(broker.url, (*PARTNERS, "ander"), management=broker.api))
        dead = topology.dead.arguments
        assert sorted(found.differences) == sorted(
            [
                "queue uit.ander is missing",
                "queue uit.landelijk: x-max-length is 5, not 100000",
                "queue zvh.dood: durable is False, not True",
                "queue zvh.dood: auto_delete is True, not False",
                *(f"queue zvh.dood: {name} is None, not {value}" for name, value in dead.items()),
                "exchange zvh.dood: durable is False, not True",
                "exchange zvh.dood: type is topic, not fanout",
                "binding of uit.ander to zvh.uit by 'ander' is missing",
                "binding of uit.landelijk to zvh.uit by 'landelijk' is missing",
                "binding of zvh.dood to zvh.dood by '' is missing",
                "binding of uit.zsm to zvh.uit by 'vreemd' is one too many",
            ]
        )
    finally:
        with channel_of(broker, ADMIN) as channel:
            channel.queue_unbind("uit.zsm", "zvh.uit", "vreemd")
            for name in ("uit.landelijk", "zvh.dood"):
                channel.queue_delete(name)
            channel.exchange_delete("zvh.dood")
        (broker.folder / "again.json").write_text(broker.definitions)
        control(broker, "import_definitions", "again.json")
    assert check(Address(broker.url, PARTNERS, management=broker.api)) == ([], True)


def test_the_management_api_tells_who_is_at_work(broker: PrivateBroker) -> None:
    source = Deliveries()
    source.add(3)
    at = Address(broker.url, PARTNERS, management=broker.api)
    with closing(open_bus(at, source=source)) as bus:
        bus.pump()
        taken = bus.take(wait_s=10)
        assert taken
        until(lambda: loads(at).get("uit.zsm") == {"unacked": 3, "consumers": 1})
        assert source.settle(taken.delivery_id)
        bus.done(taken)
        deliver(bus, source)


def test_a_user_that_may_not_look_is_told_how_to_mend_that(broker: PrivateBroker) -> None:
    control(broker, "add_user", "blind", "blind")
    control(broker, "set_permissions", "blind", "^$", "^$", "^$")
    at = Address(broker.url_of(User("blind", "blind")), PARTNERS, management=broker.api)
    with pytest.raises(Misconfigured, match="set_user_tags blind management"):
        check(at)


def test_a_management_api_that_is_away_is_bus_unavailable(broker: PrivateBroker) -> None:
    with pytest.raises(BusUnavailable):
        check(Address(broker.url, PARTNERS, management="http://127.0.0.1:1"))


# --- dead letters ---------------------------------------------------------------------------------


def test_a_crash_loop_is_parked_with_its_reason(broker: PrivateBroker) -> None:
    """A parcel that takes its worker down each time ends in zvh.dood, and says why."""
    source = Deliveries()
    (id,) = source.add(1)
    at = Address(broker.url, PARTNERS)
    with closing(open_bus(at, source=source)) as bus:
        bus.pump()
    limit = Topology.load().partner.arguments["x-delivery-limit"]
    for _ in range(limit + 1):
        with channel_of(broker) as channel:  # a worker takes it, and is gone
            until(partial(_gets, channel, "uit.zsm"))
    until(lambda: dead_letters(at, limit=9))
    for _ in range(3):  # looking changes nothing
        until(lambda: len(dead_letters(at, limit=9)) == 1)
    (letter,) = dead_letters(at, limit=9)
    assert (id, "zsm", "delivery_limit", 1) == letter[:4]
    assert letter.at and letter.at.tzinfo
    with channel_of(broker) as channel:
        channel.queue_purge("zvh.dood")
    assert dead_letters(at, limit=9) == []


def _gets(channel: Any, queue: str) -> bool:
    return channel.basic_get(queue)[0] is not None


# --- the commands ---------------------------------------------------------------------------------


def test_an_operator_sets_it_up_with_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `gateway init` to a broker that passes the check, with the password that init invented."""
    require_rabbitmq()
    broker = PrivateBroker(tmp_path / "broker", GATEWAY, management=True)
    settings = made(tmp_path / "w", bus=broker.bare_url)
    secret = settings.directory / "keys" / "bus.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_text()) > 30

    def says(*command: str, exits: int = 0) -> str:
        result = CliRunner().invoke(app, ["bus", *command, "--dir", str(settings.directory)])
        assert result.exit_code == exits, result.output
        return result.stdout

    broker.definitions = says("definitions")
    assert secret.read_text() not in broker.definitions
    broker.url = settings.bus_url
    try:
        broker.start()
        assert "" == says("check")  # names only; that is said on stderr
        monkeypatch.setenv("ZVH_GATEWAY_BUS_MANAGEMENT", broker.api)
        assert "as queue/topology.toml says" in says("check")
        rows = json.loads(says("status", "--json"))
        assert {"what": "queue uit.zsm", "state": "ready", "count": 0} in rows
        assert "Nothing is parked" in says("dead")

        control(broker, "delete_queue", "uit.zsm")
        lines = says("check", exits=3).splitlines()
        assert lines == [
            "queue uit.zsm is missing",
            "binding of uit.zsm to zvh.uit by 'zsm' is missing",
        ]
        (settings.directory / "definitions.json").write_text(says("definitions"))
        control(broker, "import_definitions", str(settings.directory / "definitions.json"))
        assert "as queue/topology.toml says" in says("check")
    finally:
        broker.stop()


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module, target = dev_pki_module(), tmp_path_factory.mktemp("pki")
    names = ("broker", "gateway")
    module.make_pki(
        target, [module.Party(n, f"0000009900000000{i}000", n) for i, n in enumerate(names, 1)]
    )
    other = tmp_path_factory.mktemp("other")
    module.make_pki(other, [module.Party("other", "00000099000000009000", "other")])
    (target / "other-ca.crt").write_bytes((other / "ca.crt").read_bytes())
    for use in ("crt", "key"):
        (target / f"other-tls.{use}").write_bytes((other / f"other-tls.{use}").read_bytes())
    return target


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, pki: Path) -> Iterator[PrivateBroker]:
    """Configured by queue/rabbitmq.conf: TLS only, and a certificate asked of who connects."""
    files = TlsFiles(
        pki / "broker-tls.crt", pki / "broker-tls.key", pki / "ca.crt", pki / "crl.pem"
    )
    folder = tmp_path_factory.mktemp("sealed")
    with own_broker(folder, PARTNERS, tls=files, management=True) as broker:
        yield broker


def _address(sealed: PrivateBroker, pki: Path, *, ca: str = "ca", who: str = "gateway") -> Address:
    own = (pki / f"{who}-tls.crt", pki / f"{who}-tls.key") if who else None
    return Address(sealed.url, PARTNERS, partial(broker_context, pki / f"{ca}.crt", own))


def test_everything_goes_over_tls(sealed: PrivateBroker, pki: Path) -> None:
    source = Deliveries()
    ids = source.add(30)
    with closing(open_bus(_address(sealed, pki), source=source)) as bus:
        assert bus.pump() == 30
        assert sorted(ids) == sorted(deliver(bus, source))


def test_the_management_api_is_asked_over_tls_too(sealed: PrivateBroker, pki: Path) -> None:
    at = replace(_address(sealed, pki), management=sealed.api)
    assert sealed.api.startswith("https://") and check(at) == ([], True)
    with pytest.raises(BusUnavailable):
        check(replace(_address(sealed, pki, ca="other-ca"), management=sealed.api))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"ca": "other-ca"}, "certificaat van de broker is niet te vertrouwen"),
        ({"who": "other"}, "certificaat of TLS past niet"),
        ({"who": ""}, "certificaat of TLS past niet"),
    ],
    ids=["another-broker", "another-ca-for-us", "without-certificate"],
)
def test_who_is_not_trusted_gets_nothing(
    sealed: PrivateBroker, pki: Path, how: dict[str, str], told: str
) -> None:
    source = Deliveries()
    ids = source.add(1)
    with closing(open_bus(_address(sealed, pki, **how), source=source)) as bus:
        for question in (bus.ping, bus.pump):
            with pytest.raises(BusUnavailable, match=told):
                question()
        assert bus.take(wait_s=0.1) is None
    assert source.due() == set(ids) and not source.claims


def test_the_name_in_the_certificate_must_be_that_of_the_node(
    sealed: PrivateBroker, pki: Path
) -> None:
    at = _address(sealed, pki)
    # The same broker by another name of this machine, which its certificate does not bear.
    elsewhere = replace(at, url=at.url.replace("localhost", "127.1"))
    with closing(open_bus(elsewhere, source=Deliveries())) as bus:
        for question in (bus.ping, bus.pump):
            with pytest.raises(BusUnavailable, match="certificaat van de broker"):
                question()


def test_without_tls_nobody_is_let_in(sealed: PrivateBroker) -> None:
    plain = sealed.url.replace("amqps://", "amqp://")
    with closing(open_bus(Address(plain, PARTNERS), source=Deliveries())) as bus:
        for question in (bus.ping, bus.pump):
            with pytest.raises(BusUnavailable, match="TLS past niet"):
                question()


def test_renewed_certificates_are_used_at_the_next_connection(
    sealed: PrivateBroker, pki: Path, tmp_path: Path
) -> None:
    for use in ("crt", "key"):
        (tmp_path / f"own.{use}").write_bytes((pki / f"other-tls.{use}").read_bytes())
    own = (tmp_path / "own.crt", tmp_path / "own.key")
    at = Address(sealed.url, PARTNERS, partial(broker_context, pki / "ca.crt", own))
    with closing(open_bus(at, source=Deliveries())) as bus:
        with pytest.raises(BusUnavailable):
            bus.ping()
        for use in ("crt", "key"):
            (tmp_path / f"own.{use}").write_bytes((pki / f"gateway-tls.{use}").read_bytes())
        bus.ping()
