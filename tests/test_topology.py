"""queue/topology.toml is the single truth for the broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from gateway.bus import rabbitmq
from gateway.bus.topology import Topology, definitions
from gateway.errors import Misconfigured, TopologyMismatch
from gateway.resources import folder

from .broker import shared_broker

DEMO = ("zsm", "landelijk")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with shared_broker(tmp_path_factory) as url:
        yield url


@pytest.fixture
def topology() -> Topology:
    return own_topology()


def own_topology() -> Topology:
    """Our topology under names of its own, so that tests share a broker and meet nowhere."""
    text = (folder("queue") / "topology.toml").read_text("utf-8")
    tag = f"t{uuid4().hex[:8]}"
    return Topology.load(text.replace('"zvh.', f'"{tag}.zvh.').replace('"uit.', f'"{tag}.uit.'))


def test_the_definitions_in_the_repository_are_those_of_the_topology() -> None:
    stored = (folder("queue") / "definitions.json").read_text("utf-8")
    assert definitions(Topology.load(), DEMO) == stored


def test_every_partner_has_a_queue_of_its_own_and_the_dead_letters_come_last() -> None:
    names = [queue.name for queue in Topology.load().queues(["zsm", "landelijk", "zsm"])]
    assert names == ["uit.landelijk", "uit.zsm", "zvh.dood"]


def test_every_queue_is_one_that_rabbitmq_3_10_and_4_both_take() -> None:
    """No mirrored classic queues, nothing transient; at-least-once needs reject-publish."""
    document = json.loads(definitions(Topology.load(), DEMO))
    for queue in document["queues"]:
        assert queue["durable"] and not queue["auto_delete"]
        assert queue["arguments"]["x-queue-type"] == "quorum"
    arguments = Topology.load().partner.arguments
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert arguments["x-overflow"] == "reject-publish"
    assert arguments["x-dead-letter-exchange"] == Topology.load().dead.exchange
    assert {b["destination"] for b in document["bindings"]} == {
        q["name"] for q in document["queues"]
    }


@pytest.mark.parametrize("text", ["vhost = ", 'vhost = "/"', 'vhost = "/"\npartner = {a = 1}'])
def test_an_unusable_topology_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"queue/topology\.toml"):
        Topology.load(text)


def test_there_is_no_python_in_the_folder_of_the_topology() -> None:
    """`import queue` must stay the standard library's."""
    assert [] == [item.name for item in folder("queue").iterdir() if item.name.endswith(".py")]


@pytest.mark.broker
def test_what_was_declared_passes_the_check(url: str, topology: Topology) -> None:
    rabbitmq.declare(url, topology, DEMO)
    rabbitmq.declare(url, topology, DEMO)
    assert rabbitmq.differences(url, topology, DEMO) == ([], True)


@pytest.mark.broker
def test_the_check_names_everything_that_is_missing_and_makes_nothing(
    url: str, topology: Topology
) -> None:
    for _ in range(2):
        found, _ = rabbitmq.differences(url, topology, DEMO)
        for queue in topology.queues(DEMO):
            for name in (queue.name, queue.exchange):
                assert [line for line in found if f"'{name}'" in line], name


@pytest.mark.broker
def test_the_check_names_what_has_another_shape(url: str, topology: Topology) -> None:
    rabbitmq.declare(url, topology, DEMO)
    partner = replace(topology.partner, arguments=topology.partner.arguments | {"x-max-length": 7})
    dead = replace(topology.dead, type="topic")
    found, _ = rabbitmq.differences(url, replace(topology, partner=partner, dead=dead), DEMO)
    for name in (topology.partner.of("zsm").name, topology.partner.of("landelijk").name):
        assert [line for line in found if "'x-max-length'" in line and name in line]
    assert [line for line in found if f"'type' for exchange '{topology.dead.exchange}'" in line]
    with pytest.raises(TopologyMismatch):
        rabbitmq.declare(url, replace(topology, partner=partner), DEMO)
