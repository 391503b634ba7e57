"""The HTTP edge: JOSE and JSON over mutual TLS in, problem documents out. Decides nothing itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event

from gateway.api.metrics import Metrics
from gateway.core.accept import Acceptor
from gateway.core.events import Events
from gateway.core.postbus import Postbus
from gateway.model.partner import Partner
from gateway.ports import Bus, Store


@dataclass(frozen=True, slots=True)
class Services:
    """
    What the edge is given to work with.

    `oin_of` reads the organisation from a client certificate (DER). It is asked for every request,
    so that it can refuse a certificate that was revoked while the connection stayed open.
    """

    acceptor: Acceptor
    postbus: Postbus
    store: Store
    bus: Bus
    partners: Mapping[str, Partner]
    oin_of: Callable[[bytes], str]
    metrics: Metrics
    events: Events
    draining: Event = field(default_factory=Event)  # set when this process is about to stop
