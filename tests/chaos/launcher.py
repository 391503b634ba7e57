"""
The program `gateway`, that kills itself at a named point: `CRASH_AT=store.accept:after`.

Every step of `accept` and `deliver` that can be seen from outside is a call of a port, so its name and
before or after it are all the points there are. The product holds no code for this.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from gateway.__main__ import main
from gateway.bus import rabbitmq, table
from gateway.core import deliver
from gateway.security.seal import JoseSealer
from gateway.security.vault import FileVault
from gateway.store.sql import SqlStore
from gateway.transport import HttpsTransport

PORTS: dict[str, tuple[type, ...]] = {
    "sealer": (JoseSealer,),
    "vault": (FileVault,),
    "store": (SqlStore,),
    "bus": (table.TableBus, rabbitmq.RabbitBus),
    "transport": (HttpsTransport,),
}
ACCEPT = ("sealer.open", "store.find_receipt", "vault.new_key", "sealer.sign", "store.accept")
DELIVER = (
    *("store.claim", "store.offered", "bus.take", "store.begin", "sealer.unwrap_from_bus"),
    *("vault.unwrap", "store.save_rendered", "sealer.seal", "transport.push"),
    *("sealer.verify_receipt", "store.settle", "bus.done"),
)
RENAMED = {"store.offered": "store.renew"}  # what a broker has is leased for longer


def points(steps: tuple[str, ...]) -> list[str]:
    """Before and after each step."""
    return [f"{step}:{when}" for step in steps for when in ("before", "after")]


def arm(point: str) -> None:
    """Die at the first passage of this point."""
    step, _, when = point.partition(":")
    port, _, method = RENAMED.get(step, step).partition(".")
    for cls in PORTS[port]:
        real = getattr(cls, method)

        def dying(*args: Any, real: Any = real, **kwargs: Any) -> Any:
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if result not in (None, [], ()) or method not in ("claim", "take"):  # a look in vain
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(cls, method, dying)


def hurry() -> None:
    """Shorter leases: a test need not wait half a minute for what a dead worker held."""
    deliver.LEASE_S, deliver.OFFERED_S = 3.0, 20.0


if __name__ == "__main__":
    hurry()
    if point := os.environ.get("CRASH_AT"):
        arm(point)
    main()
