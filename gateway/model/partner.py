"""Who takes part: a partner is one system of one organisation, with its agreement."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Partner:
    """
    One system of one organisation.

    `dialects` maps a canonical kind to the dialect it gets it in, `"*"` to the default. `sends` and
    `receives` are the agreement. `transport` is `push` (with `url`) or `postbus`. `senders` holds the
    StUF `organisatie` values this partner may write documents as, beside its own OIN.
    """

    name: str
    oin: str
    systeem: str
    role: str
    houses: frozenset[str]
    dialects: dict[str, str]
    sends: frozenset[str]
    receives: frozenset[str]
    transport: str = "postbus"
    url: str = ""
    senders: frozenset[str] = frozenset()
    deadline_hours: float = 72.0

    def dialect_for(self, kind: str) -> str:
        """The dialect in which this partner gets a kind; empty when it has none."""
        return self.dialects.get(kind) or self.dialects.get("*", "")

    def works_for(self, house: str | None) -> bool:
        """Whether it works for the house; for no house in particular only if it works for all."""
        return "*" in self.houses or (house is not None and house in self.houses)
