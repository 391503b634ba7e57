"""A broker that is full, hangs, goes away or moves: every wait has an end, and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pika
import pytest

from gateway.bus import Address, open_bus
from gateway.bus.rabbitmq import publisher
from gateway.bus.topology import Topology
from gateway.core.deliver import Deliverer
from gateway.errors import BusUnavailable
from gateway.ports import Bus, Taken
from gateway.simulators.broker import PrivateBroker
from gateway.worker import Worker

from .broker import ADMIN, control, own_broker
from .test_bus import PARTNERS, Deliveries, deliver, next_of, until

pytestmark = pytest.mark.broker
BRISK = "?heartbeat=2&stack_timeout=2"  # so that a broker that hangs is noticed within a test


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    with own_broker(tmp_path_factory.mktemp("broker"), PARTNERS) as broker:
        yield broker


@pytest.fixture
def source() -> Deliveries:
    return Deliveries()


@contextmanager
def bus_at(url: str, source: Deliveries) -> Iterator[Bus]:
    with closing(open_bus(Address(url, PARTNERS), source=source)) as bus:
        yield bus


@contextmanager
def hanging(broker: PrivateBroker) -> Iterator[None]:
    """The host still holds its TCP connections, but nobody answers."""
    groups = [process.pid for process in broker.processes]
    for group in groups:
        os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        for group in groups:
            os.killpg(group, signal.SIGCONT)


def pumped(bus: Bus) -> int:
    with suppress(BusUnavailable):
        return bus.pump()
    return 0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


ALARMS = {
    "memory": (
        ["set_vm_memory_high_watermark", "0.00001"],
        ["set_vm_memory_high_watermark", "0.4"],
    ),
    "disk": (["set_disk_free_limit", "mem_relative", "900"], ["set_disk_free_limit", "50MB"]),
}


@pytest.mark.parametrize("resource", ALARMS)
def test_a_broker_that_takes_nothing_in_gives_everything_back(
    broker: PrivateBroker, source: Deliveries, resource: str
) -> None:
    """An alarm: the claims are given back at once, and all goes when it is over."""
    raised, cleared = ALARMS[resource]
    ids = source.add(250)
    with bus_at(broker.url, source) as bus:
        control(broker, *raised)
        try:
            with within(3), pytest.raises(BusUnavailable, match="geheugen of schijf is vol"):
                bus.pump()
            assert source.due() == set(ids)
            claims = sum(source.claims.values())
            for _ in range(20):
                with pytest.raises(BusUnavailable, match="geheugen of schijf is vol"):
                    bus.pump()
            assert claims == sum(source.claims.values()), "nothing is claimed in vain meanwhile"
        finally:
            control(broker, *cleared)
        until(lambda: pumped(bus) == 100)
        assert sorted(ids) == sorted(deliver(bus, source))
        deliver(bus, source)


def test_a_broker_that_hangs_is_noticed_and_loses_nothing(
    broker: PrivateBroker, source: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CONFIRM_S", 2.0)
    ids = source.add(30)
    with bus_at(broker.url + BRISK, source) as bus:
        held = next_of(bus)
        with hanging(broker):
            more = source.add(30, receiver="landelijk")
            for told in ("bevestigt niet", "", ""):
                with within(10), pytest.raises(BusUnavailable, match=told or None):
                    bus.pump()
                assert source.due() == set(more)
            with within(10), pytest.raises(BusUnavailable):
                bus.ping()
            with within(10), pytest.raises(BusUnavailable):
                bus.status()
            until(lambda: not held.handle.channel.is_open)  # two heartbeats
            bus.done(held)
        source.unclaim(list(ids))  # as their lease does
        assert sorted(ids + more) == sorted(deliver(bus, source))


def test_closing_ends_in_time_though_the_broker_hangs(
    broker: PrivateBroker, source: Deliveries
) -> None:
    source.add(3)
    bus = open_bus(Address(broker.url + BRISK, PARTNERS), source=source)
    next_of(bus)
    with hanging(broker):
        with within(6):
            bus.close()
        assert bus.take(wait_s=0.05) is None
        until(lambda: "bus" not in {thread.name for thread in threading.enumerate()})
    with bus_at(broker.url, source) as other:
        source.unclaim(list(source.leases))
        deliver(other, source)


def test_pumping_from_two_threads_and_closing_from_a_third_breaks_nothing(
    broker: PrivateBroker, source: Deliveries
) -> None:
    ids = source.add(2000)
    bus = open_bus(Address(broker.url, PARTNERS), source=source)
    failures: list[Exception] = []
    closed = threading.Event()

    def pump() -> None:
        try:
            while not closed.is_set():
                bus.pump()
        except Exception as error:  # noqa: BLE001 (told in the thread that waits)
            failures.append(error)

    threads = [threading.Thread(target=pump) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(source.due()) < 1500)
    closed.set()
    bus.close()
    for thread in threads:
        thread.join(20)
    assert not failures and bus.pump() == 0
    with bus_at(broker.url, source) as other:
        assert sorted(ids) == sorted(deliver(other, source))


def test_a_window_is_all_that_a_publisher_holds(broker: PrivateBroker, source: Deliveries) -> None:
    source.add(1000)
    with bus_at(broker.url, source) as bus:
        assert bus.pump() == publisher.WINDOW
        assert sum(source.packed.values()) == publisher.WINDOW
        deliver(bus, source)


def test_queues_that_are_deleted_and_made_again_are_taken_from_again(
    broker: PrivateBroker, source: Deliveries
) -> None:
    """The broker tells consumers that their queue is gone; the import brings it back."""
    ids = source.add(10)
    (broker.folder / "again.json").write_text(broker.definitions)
    with bus_at(broker.url, source) as bus:
        held = next_of(bus)
        with pika.BlockingConnection(pika.URLParameters(broker.url_of(ADMIN))) as connection:
            for queue in Topology.load().queues(PARTNERS):
                connection.channel().queue_delete(queue.name)
        until(lambda: not held.handle.channel.is_open)
        control(broker, "import_definitions", "again.json")
        ids += source.add(10, receiver="landelijk")
        source.unclaim(list(source.leases))
        assert sorted(ids) == sorted(deliver(bus, source))


class Counted:
    """What a worker needs of a deliverer: each delivery, when it came."""

    def __init__(self, source: Deliveries) -> None:
        self.source, self.came = source, Counter[str]()

    def deliver(self, taken: Taken) -> None:
        self.came[taken.delivery_id] += self.source.settle(taken.delivery_id)

    def expire(self) -> None:
        pass


class Watched:
    """A bus that counts how often it is pumped in vain."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.failed = bus, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def pump(self) -> int:
        try:
            return self._bus.pump()
        except BusUnavailable:
            self.failed += 1
            raise


def test_after_a_long_outage_under_load_all_arrives_soon(tmp_path: Path) -> None:
    source = Deliveries(lease_s=3.0)
    counted = Counted(source)
    with own_broker(tmp_path, PARTNERS) as broker, bus_at(broker.url, source) as bus:
        watched = Watched(bus)
        worker = Worker(cast(Bus, watched), cast(Deliverer, counted), threads=2)
        worker.start()
        try:
            ids = source.add(300)
            until(lambda: len(counted.came) > 50)
            broker.stop()
            ids += source.add(300, receiver="landelijk")
            began, failed = time.monotonic(), watched.failed
            until(lambda: watched.failed > failed + 2)
            for _ in range(30):
                threading.Event().wait(0.1)
                ids += source.add(5)
            tries = watched.failed - failed
            assert tries < 4 + (time.monotonic() - began), "it backs off"
            broker.start()
            until(lambda: len(counted.came) == len(ids), within=20)
        finally:
            worker.stop()
    assert set(counted.came.values()) == {1}


def test_of_several_nodes_one_that_lives_is_enough(
    broker: PrivateBroker, source: Deliveries
) -> None:
    here = f"127.0.0.1:{broker.port}"
    for url in (
        broker.url.replace(here, f"127.0.0.1:1,{here}"),
        broker.url.replace(here, f"{here},127.0.0.1:1"),
    ):
        source.add(5)
        for _ in range(4):  # in any order, by chance
            with bus_at(url, source) as bus:
                bus.ping()
                bus.pump()
        with bus_at(url, source) as bus:
            source.unclaim(list(source.leases))
            assert len(deliver(bus, source)) == 5


def test_when_a_node_dies_another_takes_over(broker: PrivateBroker, tmp_path: Path) -> None:
    """Two brokers stand for two nodes; what only the first held is offered again after its lease."""
    source = Deliveries(lease_s=3.0)
    with own_broker(tmp_path, PARTNERS) as other:
        here = f"127.0.0.1:{broker.port}"
        url = broker.url.replace(here, f"127.0.0.1:{other.port},{here}")
        with bus_at(url, source) as bus:
            ids = source.add(50)
            bus.pump()
            other.stop()
            ids += source.add(50)
            until(lambda: pumped(bus) > 0)
            assert sorted(ids) == sorted(deliver(bus, source))
