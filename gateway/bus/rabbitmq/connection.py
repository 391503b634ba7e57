"""Connecting to the broker, or to any node of it; its errors as ours."""

import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions

from gateway.errors import BusUnavailable, GatewayError, TopologyMismatch

DEFAULTS = {"heartbeat": 30, "blocked_connection_timeout": 30, "socket_timeout": 5}
_OTHER_SHAPE = (404, 406)  # AMQP 0-9-1 §1.2: not-found, precondition-failed
AMQPS = 5671

REASONS: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAccessDeniedError: "De broker geeft geen toegang tot de vhost.",
    exceptions.ConnectionBlockedTimeout: "De broker neemt niets aan: geheugen of schijf is vol.",
    exceptions.AMQPConnectionError: "De broker is niet bereikbaar.",
    ssl.SSLCertVerificationError: "Het certificaat van de broker is niet te vertrouwen.",
    exceptions.AMQPError: "De broker weigert wat de gateway vraagt.",
    OSError: "De broker is niet bereikbaar.",
}


def translate(error: BaseException | None) -> GatewayError:
    """BusUnavailable, in words by its nearest ancestor; TopologyMismatch if so the broker says."""
    if isinstance(error, exceptions.ChannelClosed) and error.reply_code in _OTHER_SHAPE:
        return TopologyMismatch(error.reply_text)
    known = (REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
    return BusUnavailable(next(known, "De broker bevestigt niet."))


def parameters(url: str, tls: ssl.SSLContext | None) -> list[Any]:
    """
    How to reach each node that the URL names (`amqps://user@een,twee:5671/%2F`), in any order.

    The name in the certificate must be that of the node; `tls` says whom to trust.
    """
    scheme, _, rest = url.partition("://")
    place, slash, vhost = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    found = []
    for host in hosts.split(","):
        node = pika.URLParameters(f"{scheme}://{user}{at}{host}{slash}{vhost}")
        for name, value in DEFAULTS.items():
            if f"{name}=" not in url:
                setattr(node, name, value)
        if scheme == "amqps":
            node.ssl_options = pika.SSLOptions(
                tls or ssl.create_default_context(), urlsplit(f"//{host}").hostname
            )
        found.append(node)
    random.shuffle(found)  # so that workers spread over the nodes
    return found


@contextmanager
def dialogue(url: str, tls: ssl.SSLContext | None) -> Iterator[Any]:
    try:
        with pika.BlockingConnection(parameters(url, tls)) as connection:
            yield connection
    except tuple(REASONS) as error:
        raise translate(error) from error


def call(connection: Any, action: Callable[[], None]) -> None:
    """Have it done in the thread of the connection; forgotten when that is gone."""
    with suppress(exceptions.ConnectionWrongStateError):
        connection.add_callback_threadsafe(action)
