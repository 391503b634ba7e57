"""What the delivery limit parked: parcels that took their worker down, each time."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..topology import Topology
from .connection import Tls, dialogue


class DeadLetter(NamedTuple):
    """A copy of a parcel among the dead letters. The delivery itself is in the store."""

    delivery: str
    receiver: str
    reason: str  # `delivery_limit`, or what else RabbitMQ calls it
    times: int  # it was parked for that reason
    at: datetime | None


def dead_letters(url: str, topology: Topology, tls: Tls | None, *, limit: int) -> list[DeadLetter]:
    """
    The oldest `limit` dead letters; all of them stay.

    They are taken without an answer, and go back when the connection ends. Raises BusUnavailable,
    TopologyMismatch.
    """
    found: list[DeadLetter] = []
    with dialogue(url, tls) as connection:
        channel = connection.channel()
        while len(found) < limit:
            method, properties, _token = channel.basic_get(topology.dead.name)
            if method is None:
                break
            found.append(_read(method, properties))
    return found


def _read(method: Any, properties: Any) -> DeadLetter:
    deaths = (properties.headers or {}).get("x-death") or [{}]
    death = deaths[0]  # RabbitMQ keeps the latest first
    at = death.get("time")
    return DeadLetter(
        properties.message_id or "",
        next(iter(death.get("routing-keys", [])), method.routing_key),
        str(death.get("reason", "")),
        int(death.get("count", 0)),
        at.replace(tzinfo=UTC) if isinstance(at, datetime) else None,
    )
