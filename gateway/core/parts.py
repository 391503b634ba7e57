"""What the core works with: the ports, the partners and the rules, whatever stands behind them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.core.gebieden import Gebieden
from gateway.core.policy import Policy
from gateway.model.partner import Partner
from gateway.ports import Acknowledge, Dialect, Sealer, Store, Vault


@dataclass(frozen=True, slots=True)
class Parts:
    """One gateway: who it is (`oin`, `systeem`), whom it knows (`partners`, by name), what it uses."""

    oin: str
    systeem: str
    partners: Mapping[str, Partner]
    policy: Policy
    dialects: Mapping[str, Dialect]
    store: Store
    sealer: Sealer
    vault: Vault
    now: Callable[[], datetime]
    lane_key: bytes
    gebieden: Gebieden
    acknowledges: Mapping[str, Acknowledge]  # by dialect; the others want nothing at once
    address: str = ""  # of the API, for partners that fetch by an address we told them
