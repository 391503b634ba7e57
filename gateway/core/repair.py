"""
Repair of dead deliveries in bulk: previewed, at a pace, and stopped when it goes wrong.

What is repaired is fixed when it is proposed, so that a second person approves what the first one saw.
It is carried out by the workers, a few deliveries at a time; each is looked at again under its lock, and
one that is no longer dead is left as it is. So two operators, and two nodes, do nothing twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.core import ids
from gateway.errors import BadRequest, NotAllowed, NotFound
from gateway.ports import DeliveryRecord

PER_MINUTE = 300  # five a second: a partner that was away has its own traffic too
IDLE_S, BUSY_S = 5.0, 1.0  # between two looks of a worker

NOBODY = frozenset({"", "root", "admin", "beheer", "gateway", "operator", "service", "system"})
"""Names that are no person's: an act without a person behind it cannot be accounted for."""


class Act(StrEnum):
    """What is done with each delivery."""

    REQUEUE = "opnieuw"  # due again, under the same id
    DROP = "opgeven"  # never delivered; the next of its lane may go


class Stage(StrEnum):
    """How far a repair is."""

    PROPOSED = "voorgesteld"  # waits for a second person
    RUNNING = "loopt"
    PAUSED = "gepauzeerd"
    DONE = "klaar"
    STOPPED = "gestopt"  # what was not done yet stays dead


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead deliveries; every field narrows, times are when they died."""

    receiver: str | None = None
    kind: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Dead deliveries that have the same fate: what a preview shows."""

    receiver: str
    kind: str
    code: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Repair:
    """One act upon many deliveries: who wants it and why, who agreed, how far it is."""

    id: str
    act: Act
    stage: Stage
    asked_by: str
    approved_by: str | None
    motive: str
    per_minute: int
    created_at: datetime
    total: int = 0
    done: int = 0  # looked at; those no longer dead were left alone


class RepairStore(Protocol):
    """What repairs need of the store; each method is one transaction, and raises StoreUnavailable."""

    def dead_groups(self, selection: Selection) -> list[Group]:
        """The dead deliveries, counted; the most first."""

    def dead(self, selection: Selection, *, limit: int) -> list[DeliveryRecord]:
        """The dead deliveries one by one; the newest first."""

    def add_repair(self, repair: Repair, selection: Selection, *, alone: int) -> Repair | None:
        """
        Keep a proposal with the deliveries that are dead now; None, and nothing kept, without any.

        Of at most `alone` it needs no second person, and runs.
        """

    def repairs(self, *, limit: int) -> list[Repair]:
        """The newest first."""

    def move_repair(
        self, id: str, stage: Stage, *, of: Sequence[Stage], by: str, now: datetime
    ) -> bool:
        """Bring it to another stage; False when it is in none of `of`. Keeps who approved."""

    def advance_repair(self, *, seconds: float, now: datetime) -> int:
        """Do of one running repair what its pace allows for that long; how many were looked at."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What a person may do, and the step of a worker that does it."""

    store: RepairStore
    now: Callable[[], datetime]
    four_eyes_above: int

    def propose(
        self, selection: Selection, act: Act, *, by: str, motive: str, per_minute: int = PER_MINUTE
    ) -> Repair:
        """
        Fix what is to be done; it begins at once unless a second person must agree.

        `motive` is kept and shown: no personal data in it. Raises BadRequest, NotFound (nothing
        is selected).
        """
        now, asker, reason = self.now(), person(by), why(motive)
        if per_minute < 1:
            raise BadRequest("Het tempo is minstens een levering per minuut.")
        id, stage = ids.new_id(now), Stage.PROPOSED
        new = Repair(id, act, stage, asker, None, reason, per_minute, now)
        added = self.store.add_repair(new, selection, alone=self.four_eyes_above)
        if added is None:
            raise NotFound("Geen dode levering voldoet aan deze keuze.")
        return added

    def approve(self, id: str, *, by: str) -> None:
        """Agree with a proposal of another. Raises NotAllowed for one's own, NotFound."""
        if self.find(id).asked_by.casefold() == person(by).casefold():
            raise NotAllowed("Wie het voorstelde kan het niet goedkeuren: vraag een collega.")
        self._move(id, Stage.RUNNING, of=[Stage.PROPOSED], by=by)

    def pause(self, id: str, *, by: str) -> None:
        """Do no more for now."""
        self._move(id, Stage.PAUSED, of=[Stage.RUNNING], by=by)

    def resume(self, id: str, *, by: str) -> None:
        """Go on where it was."""
        self._move(id, Stage.RUNNING, of=[Stage.PAUSED], by=by)

    def stop(self, id: str, *, by: str) -> None:
        """Do no more, for good: what was not done stays dead."""
        self._move(id, Stage.STOPPED, of=[Stage.PROPOSED, Stage.RUNNING, Stage.PAUSED], by=by)

    def find(self, id: str) -> Repair:
        """Raises NotFound."""
        found = next((repair for repair in self.store.repairs(limit=1000) if repair.id == id), None)
        if found is None:
            raise NotFound("Er is geen herstel met dit id.")
        return found

    def advance(self) -> float:
        """A step of a worker; returns how long to pause."""
        return BUSY_S if self.store.advance_repair(seconds=BUSY_S, now=self.now()) else IDLE_S

    def _move(self, id: str, stage: Stage, *, of: Sequence[Stage], by: str) -> None:
        if not self.store.move_repair(id, stage, of=of, by=person(by), now=self.now()):
            raise NotAllowed(f"Dit herstel is {self.find(id).stage}, en kan niet {stage} worden.")


def person(by: str) -> str:
    """The name of a person. Raises BadRequest for none, and for that of a role or an account."""
    if by.strip().casefold() in NOBODY:
        raise BadRequest("Zeg wie u bent, met --by: een rol of een dienst is geen persoon.")
    return by.strip()


def why(motive: str) -> str:
    """A reason. Raises BadRequest when there is none."""
    if not motive.strip():
        raise BadRequest("Zeg waarom, met --motive.")
    return motive.strip()
