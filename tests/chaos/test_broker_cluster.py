"""A cluster of three RabbitMQ nodes, as queue/README.md sets one up: any one of them may die."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.bus import Address, check, open_bus
from gateway.bus.topology import Topology, definitions
from gateway.errors import BusUnavailable
from gateway.simulators.broker import PrivateBroker

from ..broker import ADMIN, GATEWAY, control, require_rabbitmq
from ..test_bus import PARTNERS, Deliveries, deliver, until

pytestmark = pytest.mark.broker
COOKIE = ".erlang.cookie"


class Node(PrivateBroker):
    """A node that finds the others by one port mapper, and knows them by one cookie."""

    def __init__(self, folder: Path, mapper: PrivateBroker | None) -> None:
        super().__init__(folder, GATEWAY, management=mapper is None)
        self.definitions = definitions(Topology.load(), PARTNERS, [GATEWAY, ADMIN])
        self._epmd = mapper._epmd if mapper else self._epmd
        self.name = f"zvh-{self.port}@localhost"
        self.folder.mkdir(parents=True)
        (self.folder / COOKIE).write_text("ONECOOKIEFORALL")
        (self.folder / COOKIE).chmod(0o400)

    def die(self) -> None:
        """Only the broker: the port mapper beside it may be that of all."""
        self.processes[-1].kill()
        self.processes[-1].wait()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    require_rabbitmq()
    first = Node(tmp_path / "0", None)
    nodes = [first, *(Node(tmp_path / str(n), first) for n in (1, 2))]
    try:
        for node in nodes:
            node.start()
        for node in nodes[1:]:
            for command in (["stop_app"], ["reset"], ["join_cluster", first.name], ["start_app"]):
                control(node, *command)
        assert all(len(members) == 1 for _, members in _places(first).values())
        for node in nodes[1:]:
            control(node, "grow", node.name, "all", tool="rabbitmq-queues")
        control(first, "rebalance", "quorum", tool="rabbitmq-queues")
        yield nodes
    finally:
        for node in reversed(nodes):
            node.stop()


def _places(node: Node) -> dict[str, tuple[str, list[str]]]:
    """Where the leader of each queue is, and all its replicas."""
    told = control(
        node, "list_queues", "name", "leader", "members", "--silent", "--no-table-headers"
    )
    rows = [line.split("\t") for line in told.splitlines() if line]
    return {name: (leader, members.strip("[]").split(", ")) for name, leader, members in rows}


@pytest.mark.skipif(
    "CHAOS_KILLS" not in os.environ,
    reason="three brokers on one machine need it for themselves: part of make chaos",
)
def test_any_node_of_three_may_die_and_nothing_waits_for_it(nodes: list[Node]) -> None:
    places = _places(nodes[0])
    assert all(len(members) == 3 for _, members in places.values())
    assert len({leader for leader, _ in places.values()}) == 3
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    url = nodes[0].url.replace(f"127.0.0.1:{nodes[0].port}", hosts)
    at = Address(url, PARTNERS, management=nodes[0].api)
    assert check(at) == ([], True)

    source = Deliveries()  # with a lease of minutes: what the cluster confirmed, it must keep
    with closing(open_bus(at, source=source)) as bus:
        ids = source.add(300)
        until(lambda: not source.due() or not bus.pump())
        leader = next(node for node in nodes if node.name == places["uit.zsm"][0])
        leader.die()
        began = time.monotonic()
        ids += source.add(300)
        while source.due():
            with suppress(BusUnavailable):
                bus.pump()
            threading.Event().wait(0.01)
        assert sorted(ids) == sorted(deliver(bus, source))
        assert time.monotonic() - began < 30
