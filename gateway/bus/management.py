"""
What the broker's management API shows: all there is, to a user that may change nothing.

AMQP cannot tell arguments and bindings to whom may not configure; so the check asks here.
"""

import ssl
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx2

from gateway.bus.topology import Queue, Topology
from gateway.errors import BusUnavailable, Misconfigured

TIMEOUT_S = 10.0  # a person waits
LASTING = {"durable": True, "auto_delete": False}


def differences(
    url: str, bus: str, topology: Topology, partners: Iterable[str], tls: ssl.SSLContext | None
) -> list[str]:
    """
    A sentence for everything that is missing, of another shape, or too many.

    `url` is of the management API; user and password are those of the bus. Raises BusUnavailable,
    and Misconfigured when the user may not look (it needs the tag `management`).
    """
    login = urlsplit(bus)
    auth = (unquote(login.username or ""), unquote(login.password or ""))
    base, vhost = url.rstrip("/"), quote(topology.vhost, safe="")
    verify = tls if tls and url.startswith("https:") else True
    with httpx2.Client(auth=auth, verify=verify, timeout=TIMEOUT_S, trust_env=False) as client:

        def ask(kind: str, name: str, more: str = "") -> Any:
            try:
                answer = client.get(f"{base}/api/{kind}/{vhost}/{quote(name, safe='')}{more}")
            except httpx2.HTTPError as error:
                raise BusUnavailable("De beheer-API van de broker antwoordt niet.") from error
            if answer.status_code in (401, 403):
                raise Misconfigured(
                    f"{base} refuses this user: `rabbitmqctl set_user_tags {auth[0]} management`"
                )
            return answer.json() if answer.status_code == 200 else None

        queues = topology.queues(partners)
        for_exchange = {queue.exchange: queue for queue in queues}
        found = [line for queue in queues for line in _queue(queue, ask("queues", queue.name))]
        for name, queue in for_exchange.items():
            there = ask("exchanges", name)
            found += _exchange(queue, there)
            if there is not None:
                wanted = {(q.name, q.routing_key) for q in queues if q.exchange == name}
                bound = ask("exchanges", name, "/bindings/source") or []
                found += _bindings(name, wanted, bound)
    return found


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
