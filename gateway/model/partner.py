"""Who takes part: a partner is one system of one organisation, with its agreement."""

from dataclasses import dataclass

from gateway.model.gebeurtenis import Spelling


@dataclass(frozen=True, slots=True)
class Partner:
    """
    One system of one organisation.

    `dialects` maps a canonical kind to the dialects it gets it in, by preference and with a space
    between; `"*"` is for every other kind. `dialect#root` picks one document of a dialect, and the
    key `kind@root` is for the answer to a document of that root. `sends` and `receives` are the
    agreement. `transport` is `push` (with `url`), `postbus`, `map`: a folder, or `events`: at `url` it
    is told that there is something to read (SOH), in the `spelling` it wants. `senders` holds the
    StUF `organisatie` values this partner may write documents as, beside its own OIN. `gemeenten` are
    the codes a gemeente goes by: what is about one of them is for it, whatever house works there.
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
    gemeenten: frozenset[str] = frozenset()
    deadline_hours: float = 72.0
    spelling: Spelling = "soh"

    def dialects_for(self, kind: str, asked: str = "") -> list[str]:
        """
        The dialects for a kind, the preferred one first; empty when there is none.

        `asked` is the root of the document that it answers.
        """
        found = (self.dialects.get(key) for key in (f"{kind}@{asked}", kind, "*"))
        return next((names for names in found if names), "").split()

    @property
    def spoken(self) -> set[str]:
        """Every dialect it may write in."""
        names = " ".join(self.dialects.values()).split()
        return {name.partition("#")[0] for name in names}

    def works_for(self, house: str | None) -> bool:
        """Whether it works for the house; for no house in particular only if it works for all."""
        return "*" in self.houses or (house is not None and house in self.houses)
