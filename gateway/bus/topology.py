"""Exchanges, queues and limits on the broker, read from queue/topology.toml; knows no client."""

import base64
import hashlib
import json
import secrets
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gateway.errors import Misconfigured
from gateway.resources import folder


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue, bound once to a durable exchange; a template when named `{partner}`."""

    name: str
    exchange: str
    type: str  # of the exchange
    arguments: dict[str, Any]
    routing_key: str = ""

    def of(self, partner: str) -> Self:
        return replace(self, name=self.name.format(partner=partner), routing_key=partner)


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that must exist on the broker, given the partners."""

    vhost: str
    partner: Queue
    dead: Queue

    @classmethod
    def load(cls, text: str | None = None) -> Self:
        """From topology.toml, ours unless `text` is given. Raises Misconfigured."""
        try:
            data = tomllib.loads(text or (folder("queue") / "topology.toml").read_text("utf-8"))
            return cls(data["vhost"], Queue(**data["partner"]), Queue(**data["dead"]))
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise Misconfigured(f"queue/topology.toml is onbruikbaar: {error}") from error

    def queues(self, partners: Iterable[str]) -> list[Queue]:
        """One queue a partner, by name, and the dead letters last."""
        return [*map(self.partner.of, sorted(set(partners))), self.dead]


@dataclass(frozen=True, slots=True)
class User:
    """
    A user of the broker: what it may configure, write to and read from, as patterns of names.

    Without more said it is the user of the gateway, which can make and delete nothing.
    """

    name: str
    password: str
    configure: str = "^$"
    write: str = r"^zvh\.uit$"
    read: str = r"^(uit\..+|zvh\.dood)$"
    tags: str = "management"  # may look at what there is, and change nothing by that

    def hashed(self) -> str:
        """The password as RabbitMQ keeps it: SHA-256 over a salt of four bytes and the password."""
        salt = secrets.token_bytes(4)
        digest = hashlib.sha256(salt + self.password.encode()).digest()
        return base64.b64encode(salt + digest).decode()


def definitions(topology: Topology, partners: Iterable[str], users: Sequence[User] = ()) -> str:
    """The topology as RabbitMQ imports it at boot (`load_definitions`), with these users."""
    queues, place = topology.queues(partners), {"vhost": topology.vhost}
    lasting = {**place, "durable": True, "auto_delete": False}
    exchange = {**lasting, "internal": False, "arguments": {}}
    binding = {**place, "destination_type": "queue", "arguments": {}}
    types = {q.exchange: q.type for q in queues}
    document: dict[str, Any] = {
        "vhosts": [{"name": topology.vhost}],
        "exchanges": [{"name": name, "type": kind, **exchange} for name, kind in types.items()],
        "queues": [{"name": q.name, **lasting, "arguments": q.arguments} for q in queues],
        "bindings": [
            {"source": q.exchange, "destination": q.name, "routing_key": q.routing_key, **binding}
            for q in queues
        ],
    }
    if users:
        hashing = {"hashing_algorithm": "rabbit_password_hashing_sha256"}
        document["users"] = [
            {"name": u.name, "password_hash": u.hashed(), "tags": u.tags, **hashing} for u in users
        ]
        document["permissions"] = [
            {"user": u.name, **place, "configure": u.configure, "write": u.write, "read": u.read}
            for u in users
        ]
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(definitions(Topology.load(), sys.argv[1:]))
