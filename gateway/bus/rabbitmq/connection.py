"""Connecting to the broker, or to any node of it; its errors as ours."""

import logging
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from gateway.errors import BusUnavailable, GatewayError, TopologyMismatch

Tls = Callable[[], ssl.SSLContext]
"""Makes the context of a new connection, so that renewed certificates need no restart."""

# In seconds. A peer that falls silent is noticed after two heartbeats at most, also one that hangs
# and whose host still holds the TCP connection open; `?heartbeat=` in the URL decides otherwise.
DEFAULTS = {
    "heartbeat": 30,
    "blocked_connection_timeout": 30,
    "socket_timeout": 5,
    "stack_timeout": 10,
}
DIALOGUE_HEARTBEAT = 5  # a question is answered within milliseconds, and somebody waits
logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs what it raises, seven lines a try
_OTHER_SHAPE = (404, 406)  # AMQP 0-9-1 §1.2: not-found, precondition-failed

REASONS: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAccessDeniedError: "De broker geeft geen toegang tot de vhost.",
    exceptions.ConnectionBlockedTimeout: "De broker neemt niets aan: geheugen of schijf is vol.",
    exceptions.AMQPConnectionError: "De broker is niet bereikbaar.",
    ssl.SSLCertVerificationError: "Het certificaat van de broker is niet te vertrouwen.",
    exceptions.IncompatibleProtocolError: "De broker wil ons niet: certificaat of TLS past niet.",
    ssl.SSLError: "De broker wil ons niet: certificaat of TLS past niet.",
    exceptions.AMQPError: "De broker weigert wat de gateway vraagt.",
    workflow.AMQPConnectorException: "De broker antwoordt niet op tijd.",
    OSError: "De broker is niet bereikbaar.",
}


def translate(error: BaseException | None) -> GatewayError:
    """BusUnavailable, in words by its nearest ancestor; TopologyMismatch if so the broker says."""
    if isinstance(error, workflow.AMQPConnectionWorkflowFailed):
        error = error.exceptions[-1]
    if isinstance(error, workflow.AMQPConnectorPhaseErrorBase):
        error = error.exception
    if isinstance(error, exceptions.ChannelClosed) and error.reply_code in _OTHER_SHAPE:
        return TopologyMismatch(error.reply_text)
    known = (REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
    return BusUnavailable(next(known, "De broker bevestigt niet."))


def parameters(url: str, tls: Tls | None, *, heartbeat: int | None = None) -> list[Any]:
    """
    How to reach each node that the URL names (`amqps://user@een,twee:5671/%2F`), in any order.

    The name in the certificate must be that of the node; `tls` says whom to trust.
    """
    scheme, _, rest = url.partition("://")
    place, slash, vhost = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    context = (tls or ssl.create_default_context)() if scheme == "amqps" else None
    found = []
    for host in hosts.split(","):
        node = pika.URLParameters(f"{scheme}://{user}{at}{host}{slash}{vhost}")
        for name, value in DEFAULTS.items():
            if f"{name}=" not in url:
                setattr(node, name, value)
        if heartbeat and "heartbeat=" not in url:
            node.heartbeat = heartbeat
        if context:
            node.ssl_options = pika.SSLOptions(context, urlsplit(f"//{host}").hostname)
        found.append(node)
    random.shuffle(found)  # so that workers spread over the nodes
    return found


@contextmanager
def dialogue(url: str, tls: Tls | None) -> Iterator[Any]:
    """A connection for a few questions. Raises BusUnavailable, TopologyMismatch, in bounded time."""
    nodes = parameters(url, tls, heartbeat=DIALOGUE_HEARTBEAT)
    try:
        with pika.BlockingConnection(nodes) as connection:
            yield connection
    except tuple(REASONS) as error:
        raise translate(error) from error


def call(connection: Any, action: Callable[[], None]) -> None:
    """Have it done in the thread of the connection; forgotten when that is gone."""
    with suppress(exceptions.ConnectionWrongStateError):
        connection.add_callback_threadsafe(action)
