"""The broker as it is in production: TLS, a user that may do little, definitions imported at boot."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pika
import pytest
from pika import exceptions

from gateway.bus import Address, User, check, open_bus
from gateway.bus.topology import Topology, definitions
from gateway.errors import BusUnavailable, Misconfigured, TopologyMismatch
from gateway.ports import Bus
from gateway.security.tls import TlsFiles, broker_context
from gateway.simulators.broker import PrivateBroker, installed

from .broker import require_rabbitmq
from .pki import dev_pki_module
from .test_bus import PARTNERS, Deliveries

pytestmark = pytest.mark.broker
PASSWORD = "geheim/woord"
ADMIN = User("beheer", "beheer", ".*", ".*", ".*", "administrator")


def _started(folder: Path, **how: Any) -> PrivateBroker:
    require_rabbitmq()
    broker = PrivateBroker(folder, user="gateway", password="geheim%2Fwoord", **how)
    broker.definitions = definitions(Topology.load(), PARTNERS, [User("gateway", PASSWORD), ADMIN])
    broker.start()
    return broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """Booted from its definitions, with a management API."""
    broker = _started(tmp_path_factory.mktemp("broker"), management=True)
    yield broker
    broker.stop()


@contextmanager
def _channel(broker: PrivateBroker, user: str = "gateway:geheim%2Fwoord") -> Iterator[Any]:
    url = f"amqp://{user}@127.0.0.1:{broker.port}/%2F"
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        yield connection.channel()


def test_what_it_needs_is_there_after_the_boot_and_it_works(broker: PrivateBroker) -> None:
    source = Deliveries()
    ids = source.add(20)
    at = Address(broker.url, PARTNERS)
    with closing(open_bus(at, source=source)) as bus:
        assert bus.pump() == 20
        for _ in ids:
            taken = bus.take(wait_s=10)
            assert taken
            bus.done(taken)
        assert set(bus.status()) == {"uit.landelijk", "uit.zsm", "zvh.dood"}
        bus.ping()


def test_nobody_gets_in_as_guest(broker: PrivateBroker) -> None:
    with pytest.raises(exceptions.AMQPConnectionError), _channel(broker, "guest:guest"):
        pass


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda channel: channel.queue_declare("uit.nieuw", durable=True),
        lambda channel: channel.queue_delete("uit.zsm"),
        lambda channel: channel.exchange_declare("zvh.nieuw"),
        lambda channel: channel.exchange_delete("zvh.uit"),
        lambda channel: channel.queue_bind("uit.zsm", "zvh.uit", "iets"),
        lambda channel: channel.basic_get("zvh.dood"),
        lambda channel: channel.queue_purge("zvh.dood"),
        lambda channel: (
            channel.confirm_delivery(),
            channel.basic_publish("amq.topic", "x", b"", mandatory=True),
        ),
    ],
    ids=["declare", "delete", "exchange", "unexchange", "bind", "read-dead", "purge", "elsewhere"],
)
def test_the_user_of_the_gateway_may_do_no_more_than_it_needs(
    broker: PrivateBroker, forbidden: Callable[[Any], object]
) -> None:
    with pytest.raises(exceptions.ChannelClosedByBroker) as refused, _channel(broker) as channel:
        forbidden(channel)
    assert refused.value.reply_code == 403


def test_the_check_without_rights_sees_names_only_and_says_so(broker: PrivateBroker) -> None:
    assert check(Address(broker.url, PARTNERS)) is False
    with pytest.raises(TopologyMismatch, match=r"uit\.ander"):
        check(Address(broker.url, (*PARTNERS, "ander")))


def test_the_check_by_the_management_api_sees_everything_without_rights(
    broker: PrivateBroker,
) -> None:
    assert check(Address(broker.url, PARTNERS, management=broker.api)) is True


def test_the_check_names_every_difference(broker: PrivateBroker) -> None:
    """All at once, each as a sentence: what is missing, of another shape, and too many."""
    at = Address(broker.url, (*PARTNERS, "ander"), management=broker.api)
    with _channel(broker, "beheer:beheer") as channel:
        channel.queue_bind("uit.zsm", "zvh.uit", "vreemd")
        channel.queue_unbind("uit.landelijk", "zvh.uit", "landelijk")
        channel.queue_delete("zvh.dood")
        channel.queue_declare("zvh.dood", durable=True)
    try:
        with pytest.raises(TopologyMismatch) as told:
            check(at)
        for sentence in (
            "queue uit.ander is missing",
            "binding of uit.ander to zvh.uit by 'ander' is missing",
            "binding of uit.zsm to zvh.uit by 'vreemd' is one too many",
            "binding of uit.landelijk to zvh.uit by 'landelijk' is missing",
            "queue zvh.dood: x-queue-type is None, not quorum",
            "queue zvh.dood: x-max-length is None, not 10000",
        ):
            assert sentence in told.value.detail
    finally:
        with _channel(broker, "beheer:beheer") as channel:
            channel.queue_unbind("uit.zsm", "zvh.uit", "vreemd")
            channel.queue_bind("uit.landelijk", "zvh.uit", "landelijk")
            channel.queue_delete("zvh.dood")
            dead = Topology.load().dead
            channel.queue_declare("zvh.dood", durable=True, arguments=dead.arguments)
            channel.queue_bind("zvh.dood", "zvh.dood")


def test_a_user_that_may_not_look_is_told_how_to_mend_that(broker: PrivateBroker) -> None:
    _control(broker, "add_user", "blind", "blind")
    _control(broker, "set_permissions", "blind", "^$", "^$", "^$")
    at = Address(f"amqp://blind:blind@127.0.0.1:{broker.port}/%2F", PARTNERS)
    with pytest.raises(Misconfigured, match="set_user_tags blind management"):
        check(replace(at, management=broker.api))


def test_a_management_api_that_is_away_is_bus_unavailable(broker: PrivateBroker) -> None:
    with pytest.raises(BusUnavailable):
        check(Address(broker.url, PARTNERS, management="http://127.0.0.1:1"))


def test_a_crash_loop_is_parked_with_its_reason(broker: PrivateBroker) -> None:
    """A parcel that takes its worker down each time ends in zvh.dood, and says why."""
    source = Deliveries()
    (id,) = source.add(1)
    with closing(open_bus(Address(broker.url, PARTNERS), source=source)) as bus:
        bus.pump()
    limit = Topology.load().partner.arguments["x-delivery-limit"]
    for _ in range(limit + 1):
        with _channel(broker) as channel:  # a worker takes it, and is gone
            _until(partial(_gets, channel, "uit.zsm"))
    with _channel(broker, "beheer:beheer") as channel:
        _until(lambda: channel.queue_declare("zvh.dood", passive=True).method.message_count == 1)
        _, properties, _ = channel.basic_get("zvh.dood", auto_ack=True)
    assert properties.message_id == id
    (death,) = properties.headers["x-death"]
    assert (death["reason"], death["queue"]) == ("delivery_limit", "uit.zsm")


def test_a_broker_that_takes_nothing_in_gives_everything_back(broker: PrivateBroker) -> None:
    """A memory alarm: the claims are given back, and all goes when it is over."""
    source = Deliveries()
    ids = source.add(5)
    with closing(open_bus(Address(broker.url, PARTNERS), source=source)) as bus:
        _control(broker, "set_vm_memory_high_watermark", "0.00001")
        try:
            with pytest.raises(BusUnavailable):
                bus.pump()
            assert source.due() == set(ids)
        finally:
            _control(broker, "set_vm_memory_high_watermark", "0.4")
        _until(lambda: _pumped(bus) == 5)
        for _ in ids:
            taken = bus.take(wait_s=10)
            assert taken
            bus.done(taken)


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module, target = dev_pki_module(), tmp_path_factory.mktemp("pki")
    names = ("broker", "gateway", "stranger")
    module.make_pki(
        target, [module.Party(n, f"0000009900000000{i}000", n) for i, n in enumerate(names, 1)]
    )
    other = tmp_path_factory.mktemp("other")
    module.make_pki(other, [module.Party("gateway", "00000099000000009000", "gateway")])
    (target / "other-ca.crt").write_bytes((other / "ca.crt").read_bytes())
    for use in ("crt", "key"):
        (target / f"other-tls.{use}").write_bytes((other / f"gateway-tls.{use}").read_bytes())
    return target


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, pki: Path) -> Iterator[PrivateBroker]:
    """A broker that speaks TLS only."""
    files = TlsFiles(
        pki / "broker-tls.crt", pki / "broker-tls.key", pki / "ca.crt", pki / "crl.pem"
    )
    broker = _started(tmp_path_factory.mktemp("sealed"), tls=files)
    yield broker
    broker.stop()


def _address(sealed: PrivateBroker, pki: Path, *, ca: str = "ca", who: str = "gateway") -> Address:
    own = (pki / f"{who}-tls.crt", pki / f"{who}-tls.key") if who else (None, None)
    return Address(sealed.url, PARTNERS, broker_context(pki / f"{ca}.crt", *own))


def test_everything_goes_over_tls(sealed: PrivateBroker, pki: Path) -> None:
    source = Deliveries()
    source.add(3)
    with closing(open_bus(_address(sealed, pki), source=source)) as bus:
        assert bus.pump() == 3
        assert bus.take(wait_s=10)


@pytest.mark.parametrize(
    "how", [{"ca": "other-ca"}, {"who": "other"}, {"who": ""}], ids=["broker", "us", "nobody"]
)
def test_who_is_not_trusted_gets_nothing(
    sealed: PrivateBroker, pki: Path, how: dict[str, str]
) -> None:
    source = Deliveries()
    ids = source.add(1)
    with closing(open_bus(_address(sealed, pki, **how), source=source)) as bus:
        with pytest.raises(BusUnavailable):
            bus.ping()
        with pytest.raises(BusUnavailable):
            bus.pump()
    assert source.due() == set(ids)


def test_the_name_in_the_certificate_must_be_that_of_the_node(
    sealed: PrivateBroker, pki: Path
) -> None:
    at = _address(sealed, pki)
    elsewhere = replace(at, url=at.url.replace("localhost", "127.0.0.2"))
    with closing(open_bus(elsewhere, source=Deliveries())) as bus, pytest.raises(BusUnavailable):
        bus.ping()


# --- several nodes --------------------------------------------------------------------------------


def test_of_several_nodes_one_that_lives_is_enough(broker: PrivateBroker) -> None:
    url = broker.url.replace(f"127.0.0.1:{broker.port}", f"127.0.0.1:1,127.0.0.1:{broker.port}")
    source = Deliveries()
    source.add(5)
    with closing(open_bus(Address(url, PARTNERS), source=source)) as bus:
        bus.ping()
        _until(lambda: _pumped(bus) == 5)
        for _ in range(5):
            taken = bus.take(wait_s=20)
            assert taken
            bus.done(taken)


def _gets(channel: Any, queue: str) -> bool:
    return channel.basic_get(queue)[0] is not None


def _pumped(bus: Bus) -> int:
    try:
        return bus.pump()
    except BusUnavailable:
        return 0


def _control(broker: PrivateBroker, *command: str) -> str:
    """rabbitmqctl."""
    script, _ = installed()
    done = subprocess.run(
        [str(Path(script).with_name("rabbitmqctl")), *command],
        env=broker.environment(),
        cwd=broker.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
