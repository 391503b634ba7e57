"""
What the broker's management API shows: all there is, to a user that may change nothing.

AMQP cannot tell arguments and bindings to whom may not configure; so the check asks here.
"""

from collections.abc import Callable, Iterable, Iterator
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import httpx2

from gateway.bus.topology import Queue, Topology
from gateway.errors import BusUnavailable, Misconfigured

TIMEOUT_S = 10.0  # a person waits
LASTING = {"durable": True, "auto_delete": False}


class Management:
    """The management API at `url`, by the user and the trust of the bus."""

    def __init__(self, url: str, bus: str, tls: Callable[[], SSLContext] | None) -> None:
        login = urlsplit(bus)
        self._user, password = unquote(login.username or ""), unquote(login.password or "")
        self._base = url.rstrip("/")
        self._client = httpx2.Client(
            auth=(self._user, password),
            verify=tls() if tls and url.startswith("https:") else True,
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def differences(self, topology: Topology, partners: Iterable[str]) -> list[str]:
        """
        A sentence for everything that is missing, of another shape, or too many.

        Raises BusUnavailable; Misconfigured when the user may not look.
        """
        queues = topology.queues(partners)
        found = [line for q in queues for line in _queue(q, self._ask(topology, "queues", q.name))]
        for name, queue in {queue.exchange: queue for queue in queues}.items():
            there = self._ask(topology, "exchanges", name)
            found += _exchange(queue, there)
            bound = self._ask(topology, "exchanges", f"{name}/bindings/source") if there else None
            wanted = {(q.name, q.routing_key) for q in queues if q.exchange == name}
            found += _bindings(name, wanted, bound or [])
        return found

    def loads(self, topology: Topology, partners: Iterable[str]) -> dict[str, dict[str, int]]:
        """Of each queue how much its consumers hold, and how many there are. Raises as above."""
        found: dict[str, dict[str, int]] = {}
        for queue in topology.queues(partners):
            if there := self._ask(topology, "queues", queue.name):
                counts = {
                    "unacked": there.get("messages_unacknowledged"),
                    "consumers": there.get("consumers"),
                }  # absent until RabbitMQ has counted, every five seconds
                found[queue.name] = {name: n for name, n in counts.items() if n is not None}
        return found

    def _ask(self, topology: Topology, kind: str, what: str) -> Any:
        """What is there, or None."""
        vhost = quote(topology.vhost, safe="")
        try:
            answer = self._client.get(f"{self._base}/api/{kind}/{vhost}/{quote(what)}")
        except httpx2.HTTPError as error:
            raise BusUnavailable("De beheer-API van de broker antwoordt niet.") from error
        if answer.status_code in (401, 403):
            raise Misconfigured(
                f"{self._base} refuses this user: check its password, and that it may look: "
                f"`rabbitmqctl set_user_tags {self._user} management`"
            )
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise BusUnavailable(f"De beheer-API van de broker geeft {answer.status_code}.")
        return answer.json()


def _queue(wanted: Queue, found: Any) -> Iterator[str]:
    if found is None:
        yield f"queue {wanted.name} is missing"
        return
    for name, value in LASTING.items():
        if found[name] is not value:
            yield f"queue {wanted.name}: {name} is {found[name]}, not {value}"
    there = found["arguments"]
    for name in sorted(wanted.arguments.keys() | there.keys()):
        if wanted.arguments.get(name) != there.get(name):
            yield f"queue {wanted.name}: {name} is {there.get(name)}, not {wanted.arguments.get(name)}"


def _exchange(wanted: Queue, found: Any) -> Iterator[str]:
    if found is None:
        yield f"exchange {wanted.exchange} is missing"
        return
    for name, value in {**LASTING, "internal": False, "type": wanted.type}.items():
        if found[name] != value:
            yield f"exchange {wanted.exchange}: {name} is {found[name]}, not {value}"


def _bindings(exchange: str, wanted: set[tuple[str, str]], found: Any) -> Iterator[str]:
    there = {(one["destination"], one["routing_key"]) for one in found}
    for queue, key in sorted(wanted - there):
        yield f"binding of {queue} to {exchange} by {key!r} is missing"
    for queue, key in sorted(there - wanted):
        yield f"binding of {queue} to {exchange} by {key!r} is one too many"
