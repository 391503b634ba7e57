"""One contract over both back ends of the bus, and what only a real broker can show."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pika
import pytest
from pika import exceptions

from gateway.bus import Address, open_bus, rabbitmq
from gateway.bus.rabbitmq import RabbitBus
from gateway.bus.table import TableBus
from gateway.bus.topology import Topology
from gateway.errors import (
    BodyDestroyed,
    BusUnavailable,
    Misconfigured,
    StoreUnavailable,
    TopologyMismatch,
)
from gateway.ports import Bus, Taken

from .broker import as_gateway, own_broker, shared_broker
from .test_topology import own_topology

PARTNERS = ("landelijk", "zsm")
LEASE_S = 300.0
PATIENCE_S = 20.0


class Deliveries:
    """A source with leases: what is not settled is due again once its lease has passed."""

    def __init__(self, *, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self.leases: dict[str, float] = {}  # id: when its lease ends; 0 is due now
        self.receivers: dict[str, str] = {}
        self.broken: dict[str, Exception] = {}
        self.claims: Counter[str] = Counter()
        self.threads: set[int] = set()
        self.packed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, count: int, *, receiver: str = "zsm") -> list[str]:
        with self._lock:
            ids = [f"{receiver}-{len(self.receivers) + n:04}" for n in range(count)]
            self.receivers.update(dict.fromkeys(ids, receiver))
            self.leases.update(dict.fromkeys(ids, 0.0))
        return ids

    def claim(self, limit: int) -> list[str]:
        with self._lock:
            now = time.monotonic()
            self.threads.add(threading.get_ident())
            ids = [i for i, until in self.leases.items() if until <= now][:limit]
            self.leases.update(dict.fromkeys(ids, now + self.lease_s))
            self.claims.update(ids)
            return ids

    def unclaim(self, ids: Sequence[str]) -> None:
        with self._lock:
            self.threads.add(threading.get_ident())
            self.leases.update((i, 0.0) for i in ids if i in self.leases)

    def offered(self, ids: Sequence[str]) -> None:
        """What is in the broker keeps the lease it has."""

    def receiver_of(self, delivery_id: str) -> str:
        return self.receivers[delivery_id]

    def pack(self, delivery_id: str) -> bytes:
        self.threads.add(threading.get_ident())
        self.packed[delivery_id] += 1
        if delivery_id in self.broken:
            raise self.broken[delivery_id]
        return f"sealed parcel of {delivery_id}".encode()

    def settle(self, delivery_id: str) -> bool:
        """True for the first to deliver it; a repeat finds it not due any more."""
        with self._lock:
            return self.leases.pop(delivery_id, None) is not None

    def due(self) -> set[str]:
        now = time.monotonic()
        return {i for i, until in self.leases.items() if until <= now}


def pump(bus: Bus) -> None:
    with suppress(BusUnavailable):
        bus.pump()


def next_of(bus: Bus) -> Taken:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pump(bus)
        if taken := bus.take(wait_s=0.2):
            return taken
    raise AssertionError("nothing was handed out")


def deliver(bus: Bus, source: Deliveries) -> list[str]:
    """Work until nothing is left; the ids in the order in which they were delivered."""
    delivered = []
    deadline = time.monotonic() + PATIENCE_S
    while source.leases and time.monotonic() < deadline:
        pump(bus)
        while taken := bus.take(wait_s=0.05):
            assert source.pack(taken.delivery_id) == taken.token
            if source.settle(taken.delivery_id):
                delivered.append(taken.delivery_id)
            bus.done(taken)
    assert not source.leases, "not everything arrived"
    return delivered


def until(condition: Callable[[], object], *, within: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        tick.wait(0.02)


@contextmanager
def thread(work: Callable[[], object]) -> Iterator[None]:
    """Run `work` beside the block; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield
        future.result(PATIENCE_S)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with shared_broker(tmp_path_factory) as url:
        yield url


@pytest.fixture
def topology() -> Topology:
    return own_topology()


@pytest.fixture
def source() -> Deliveries:
    return Deliveries()


Opener = Callable[[Deliveries], Bus]


@pytest.fixture
def rabbit(url: str, topology: Topology) -> Opener:
    """A bus of the user that production has: it may declare nothing, so `beheer` did."""
    rabbitmq.declare(url, topology, PARTNERS)
    own = as_gateway(url)
    return lambda source: RabbitBus(own, source=source, topology=topology, partners=PARTNERS)


@pytest.fixture(params=["table", pytest.param("rabbit", marks=pytest.mark.broker)])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "table":
        return TableBus
    made: Opener = request.getfixturevalue("rabbit")
    return made


@pytest.fixture
def bus(opener: Opener, source: Deliveries) -> Iterator[Bus]:
    with closing(opener(source)) as bus:
        yield bus


class TestEveryBus:
    """What pump, take, done and give_back promise whatever lies behind them."""

    def test_every_due_delivery_is_taken_exactly_once(self, bus: Bus, source: Deliveries) -> None:
        ids = source.add(120) + source.add(5, receiver="landelijk")
        assert sorted(ids) == sorted(deliver(bus, source))
        assert set(source.claims.values()) == {1}
        assert bus.take(wait_s=0) is None

    def test_the_token_is_what_the_source_packed(self, bus: Bus, source: Deliveries) -> None:
        (delivery_id,) = source.add(1)
        taken = next_of(bus)
        assert (delivery_id, source.pack(delivery_id)) == (taken.delivery_id, taken.token)

    def test_deliveries_to_one_receiver_keep_their_order(
        self, bus: Bus, source: Deliveries
    ) -> None:
        ids = source.add(150)
        assert ids == deliver(bus, source)

    def test_what_becomes_due_while_a_worker_waits_reaches_it(
        self, bus: Bus, source: Deliveries
    ) -> None:
        assert bus.take(wait_s=0.01) is None
        found: list[Taken | None] = []
        with thread(lambda: found.append(bus.take(wait_s=PATIENCE_S))):
            (delivery_id,) = source.add(1)
            bus.pump()
        assert [delivery_id] == [taken.delivery_id for taken in found if taken]

    def test_waiting_ends_in_time_and_costs_no_processor(
        self, bus: Bus, source: Deliveries
    ) -> None:
        bus.take(wait_s=0)
        start, busy = time.monotonic(), time.thread_time()
        assert bus.take(wait_s=0.3) is None
        assert 0.25 < time.monotonic() - start < 2
        assert time.thread_time() - busy < 0.1

    def test_what_is_given_back_is_taken_again(self, bus: Bus, source: Deliveries) -> None:
        (delivery_id,) = source.add(1)
        bus.give_back(next_of(bus))
        assert [delivery_id] == deliver(bus, source)

    def test_two_workers_of_one_process_share_the_work(self, bus: Bus, source: Deliveries) -> None:
        source.add(60)
        both_have_one = threading.Barrier(2, timeout=PATIENCE_S)

        def work() -> None:
            taken = next_of(bus)
            both_have_one.wait()
            assert source.settle(taken.delivery_id)
            bus.done(taken)
            deliver(bus, source)

        with thread(work), thread(work):
            pass
        assert set(source.claims.values()) == {1}

    def test_two_processes_share_the_work(self, opener: Opener, source: Deliveries) -> None:
        """Two buses over one store stand for two processes."""
        ids = source.add(100)
        delivered: list[str] = []
        with closing(opener(source)) as one, closing(opener(source)) as other:
            first = [next_of(one), next_of(other)]
            for bus, taken in zip((one, other), first, strict=True):
                assert source.settle(taken.delivery_id)
                bus.done(taken)
            with thread(lambda: delivered.extend(deliver(one, source))):
                delivered.extend(deliver(other, source))
        assert sorted(ids) == sorted(delivered + [taken.delivery_id for taken in first])

    def test_what_a_dead_worker_held_goes_to_another(self, opener: Opener) -> None:
        """By the broken connection on RabbitMQ, by the lease on the table."""
        source = Deliveries(lease_s=0.5)
        ids = source.add(20)
        dead = opener(source)
        next_of(dead), next_of(dead)
        dead.close()
        with closing(opener(source)) as alive:
            assert sorted(ids) == sorted(deliver(alive, source))

    def test_a_closed_bus_hands_out_nothing(self, opener: Opener, source: Deliveries) -> None:
        bus = opener(source)
        source.add(3)
        next_of(bus)
        bus.close()
        assert bus.take(wait_s=0.05) is None

    def test_ping_is_silent_while_the_bus_is_there(self, bus: Bus) -> None:
        bus.ping()

    def test_a_delivery_that_cannot_be_packed_holds_up_no_other(
        self, bus: Bus, source: Deliveries
    ) -> None:
        broken, good = source.add(2)
        source.broken[broken] = BodyDestroyed()
        with suppress(BodyDestroyed):
            pump(bus)
            assert bus.take(wait_s=0) is None  # on the table it is the worker that hears of it
        assert good == next_of(bus).delivery_id
        assert broken not in source.due()


def test_a_table_given_up_gives_its_claims_back(source: Deliveries) -> None:
    ids = source.add(5)
    bus = TableBus(source)
    first = bus.take(wait_s=0)
    bus.close()
    assert first and source.due() == set(ids) - {first.delivery_id}


def test_the_url_picks_the_back_end(source: Deliveries) -> None:
    with closing(open_bus(Address("table", PARTNERS), source=source)) as bus:
        assert isinstance(bus, TableBus)
    with closing(open_bus(Address("amqp://127.0.0.1:1/", PARTNERS), source=source)) as bus:
        assert isinstance(bus, RabbitBus)
    with pytest.raises(Misconfigured):
        open_bus(Address("redis://localhost", PARTNERS), source=source)


def _descendants(kind: type[Exception]) -> set[type[Exception]]:
    children: list[type[Exception]] = kind.__subclasses__()
    return {kind}.union(*map(_descendants, children))


@pytest.mark.parametrize("kind", sorted(_descendants(exceptions.AMQPError), key=str))
def test_no_error_of_the_client_library_goes_untranslated(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    error.args = (320, "CONNECTION_FORCED")
    assert isinstance(rabbitmq.translate(error), BusUnavailable)
    assert rabbitmq.translate(error).detail != rabbitmq.translate(ValueError()).detail


def test_without_a_broker_every_question_is_bus_unavailable(source: Deliveries) -> None:
    ids = source.add(3)
    nobody = "amqp://gateway:hemel@127.0.0.1:1/%2F"
    with closing(open_bus(Address(nobody, PARTNERS), source=source)) as bus:
        for question in (bus.ping, bus.status, bus.pump):
            with pytest.raises(BusUnavailable) as caught:
                question()
            assert caught.value.__cause__ is not None and "hemel" not in caught.value.reason()
        assert bus.take(wait_s=0.05) is None
    assert source.due() == set(ids) and not source.claims


@pytest.mark.broker
class TestRabbit:
    """What only the broker can do, or do wrong."""

    def test_nothing_but_token_and_id_reaches_the_broker(
        self, url: str, rabbit: Opener, topology: Topology, source: Deliveries
    ) -> None:
        (delivery_id,) = source.add(1)
        with closing(rabbit(source)) as bus:
            assert bus.pump() == 1
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            name = topology.partner.of("zsm").name
            method, properties, body = connection.channel().basic_get(name, auto_ack=True)
        assert (topology.partner.exchange, "zsm") == (method.exchange, method.routing_key)
        assert source.pack(delivery_id) == body
        told = {k: v for k, v in vars(properties).items() if v is not None}
        assert set(told.pop("headers", {})) <= {"x-delivery-count"}  # the broker's own
        assert told == {"message_id": delivery_id, "delivery_mode": 2}

    def test_status_counts_what_waits_and_what_is_done_waits_no_more(
        self, rabbit: Opener, topology: Topology, source: Deliveries
    ) -> None:
        zsm, landelijk = (topology.partner.of(name).name for name in ("zsm", "landelijk"))
        nothing = {zsm: 0, landelijk: 0, topology.dead.name: 0}
        source.add(3)
        with closing(rabbit(source)) as bus:
            assert bus.status() == nothing
            assert bus.pump() == 3
            until(lambda: bus.status() == {**nothing, zsm: 3})
            for taken in (next_of(bus), next_of(bus)):
                bus.done(taken)
        with closing(rabbit(source)) as bus:  # what was taken and not done is back
            until(lambda: bus.status() == {**nothing, zsm: 1})

    def test_the_source_is_called_in_the_thread_that_pumps(
        self, rabbit: Opener, source: Deliveries
    ) -> None:
        source.add(3)
        with closing(rabbit(source)) as bus:
            assert bus.pump() == 3
            assert bus.take(wait_s=PATIENCE_S) is not None
        assert source.threads == {threading.get_ident()}

    def test_a_missing_queue_is_named_and_holds_up_no_other_partner(
        self,
        url: str,
        rabbit: Opener,
        topology: Topology,
        source: Deliveries,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        source.add(150, receiver="nieuw")
        good = source.add(1)
        with closing(rabbit(source)) as bus:
            with pytest.raises(TopologyMismatch, match=topology.partner.of("nieuw").name):
                bus.pump()
            assert bus.pump() == 1  # told once: a worker that hears it each time backs off
            assert good == [next_of(bus).delivery_id]
            assert not source.due()
            rabbitmq.declare(url, topology, ["nieuw"])
            source.unclaim(list(source.leases))
            monkeypatch.setattr(rabbitmq, "monotonic", lambda: time.monotonic() + rabbitmq.REST_S)
            assert bus.pump() == 100

    def test_a_missing_exchange_is_named(
        self, url: str, topology: Topology, source: Deliveries
    ) -> None:
        ids = source.add(2)
        with closing(
            RabbitBus(as_gateway(url), source=source, topology=topology, partners=PARTNERS)
        ) as bus:
            with pytest.raises(TopologyMismatch, match=topology.partner.exchange):
                bus.pump()
            with pytest.raises(TopologyMismatch):
                bus.status()
            assert source.due() == set(ids)
            rabbitmq.declare(url, topology, PARTNERS)
            assert ids == deliver(bus, source)

    def test_a_full_queue_holds_up_no_other_partner_and_no_worker(
        self, url: str, topology: Topology, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It answers with a nack, because it says reject-publish; then its deliveries wait."""
        monkeypatch.setattr(rabbitmq, "REST_S", 2.0)
        source = Deliveries(lease_s=2.0)
        limited = topology.partner.arguments | {"x-max-length": 1}
        topology = replace(topology, partner=replace(topology.partner, arguments=limited))
        rabbitmq.declare(url, topology, PARTNERS)
        with closing(
            RabbitBus(as_gateway(url), source=source, topology=topology, partners=PARTNERS)
        ) as bus:

            def full() -> bool:
                source.add(20)
                return bus.pump() < 20

            until(full)
            source.packed.clear()
            assert bus.pump() == 0 and not source.due()  # nothing to do until the lease ends
            source.add(350)
            (other,) = source.add(1, receiver="landelijk")
            assert bus.pump() == 1, "what is passed over does not stand in the way of the others"
            assert set(source.packed) == {other}, "nor does it cost a seal"
            deliver(bus, source)

    def test_a_store_that_fails_while_packing_leaves_no_claim(
        self, rabbit: Opener, source: Deliveries
    ) -> None:
        ids = source.add(3)
        source.broken[ids[1]] = StoreUnavailable()
        with closing(rabbit(source)) as bus:
            with pytest.raises(StoreUnavailable):
                bus.pump()
            assert source.due() == set(ids)

    def test_a_crash_loop_ends_among_the_dead_letters_and_the_store_offers_again(
        self, url: str, topology: Topology
    ) -> None:
        limited = topology.partner.arguments | {"x-delivery-limit": 2}
        topology = replace(topology, partner=replace(topology.partner, arguments=limited))
        rabbitmq.declare(url, topology, PARTNERS)
        source = Deliveries(lease_s=2.0)
        (delivery_id,) = source.add(1)
        with closing(
            RabbitBus(as_gateway(url), source=source, topology=topology, partners=PARTNERS)
        ) as bus:
            assert bus.pump() == 1
            for _ in range(3):
                taken = bus.take(wait_s=PATIENCE_S)
                assert taken and taken.delivery_id == delivery_id
                bus.give_back(taken)
            until(lambda: bus.status()[topology.dead.name] == 1)
            until(lambda: source.due())
            assert [delivery_id] == deliver(bus, source)

    def test_a_handler_longer_than_the_heartbeat_keeps_its_connection(
        self, url: str, rabbit: Opener, topology: Topology, source: Deliveries
    ) -> None:
        source.add(1)
        impatient = f"{as_gateway(url)}?heartbeat=1"
        with closing(
            RabbitBus(impatient, source=source, topology=topology, partners=PARTNERS)
        ) as bus:
            taken = next_of(bus)
            threading.Event().wait(3.5)  # the broker gives up after two silent heartbeats
            assert taken.handle.channel.is_open
            assert source.settle(taken.delivery_id)
            bus.done(taken)
            assert bus.take(wait_s=0.1) is None
            assert bus.pump() == 0
        with closing(rabbit(source)) as bus:
            assert not any(bus.status().values())

    def test_a_queue_made_again_is_taken_from_again(
        self, url: str, rabbit: Opener, topology: Topology, source: Deliveries
    ) -> None:
        source.add(1)
        with closing(rabbit(source)) as bus:
            taken = next_of(bus)
            with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                connection.channel().queue_delete(topology.partner.of("zsm").name)
            until(lambda: not taken.handle.channel.is_open)
            rabbitmq.declare(url, topology, PARTNERS)
            source.unclaim(list(source.leases))
            deliver(bus, source)

    def test_a_killed_broker_loses_nothing_and_everything_comes_back(self, tmp_path: Path) -> None:
        source = Deliveries(lease_s=4.0)
        with (
            own_broker(tmp_path, PARTNERS) as broker,
            closing(open_bus(Address(broker.url, PARTNERS), source=source)) as bus,
        ):
            ids = source.add(150)
            held = next_of(bus)
            broker.stop()
            bus.done(held)  # never raises; the delivery was not settled, so it comes again
            until(lambda: _unavailable(bus.ping))
            until(lambda: _unavailable(bus.pump))
            broker.start()
            ids += source.add(20, receiver="landelijk")
            assert sorted(ids) == sorted(deliver(bus, source))
            bus.ping()

    def test_a_broker_that_lost_its_data_is_offered_everything_again(self, tmp_path: Path) -> None:
        """It comes back with what its definitions say, and nothing else."""
        source = Deliveries(lease_s=4.0)
        with (
            own_broker(tmp_path, PARTNERS) as broker,
            closing(open_bus(Address(broker.url, PARTNERS), source=source)) as bus,
        ):
            ids = source.add(30)
            assert bus.pump() == 30
            held = next_of(bus)
            broker.stop()
            shutil.rmtree(tmp_path / "MNESIA_BASE")
            broker.start()
            assert not any(bus.status().values())
            bus.done(held)
            assert sorted(ids) == sorted(deliver(bus, source))


def _unavailable(question: Callable[[], object]) -> bool:
    try:
        question()
    except BusUnavailable:
        return True
    return False
