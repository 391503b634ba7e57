"""`gateway dead`: deliveries that need a person, one by one and in bulk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.cli.messages import opened_store, trace
from gateway.cli.output import HERE, Dir, Json, records, stderr
from gateway.core.repair import PER_MINUTE, Act, Repairs, Selection, Stage, person, why
from gateway.errors import BadRequest, NotFound
from gateway.settings import Settings, load

dead = typer.Typer(help="Deliveries that need a person.", no_args_is_help=True)
MANY = 1000  # rows at most in a list for a person

One = Annotated[str | None, typer.Argument(metavar="[ID]", help="Of one dead delivery.")]
Which = Annotated[str, typer.Argument(metavar="ID", help="Of a repair.")]
By = Annotated[
    str, typer.Option("--by", envvar=["SUDO_USER", "USER"], help="Your own name, for the audit.")
]
Motive = Annotated[str, typer.Option("--motive", help="Why; no personal data, it is kept.")]
To = Annotated[str | None, typer.Option("--to", metavar="PARTNER", help="Only for this receiver.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only of this kind.")]
Code = Annotated[str | None, typer.Option("--code", help="Only dead by this error code.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Only dead since then (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Only dead until then (UTC).")]
Pace = Annotated[int, typer.Option("--per-minute", min=1, help="How many a minute.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without it you see what would be done.")]


@contextmanager
def _repairs(settings: Settings) -> Iterator[Repairs]:
    with opened_store(settings) as store:
        yield Repairs(store, _now, settings.four_eyes_above)


@dead.command("list")
def list_dead(
    to: To = None, kind: Kind = None, code: Code = None, dir: Dir = HERE, json: Json = False
) -> None:
    """Which deliveries are dead, and why; the newest first."""
    with opened_store(load(dir)) as store:
        found = store.dead(Selection(to, kind, code), limit=MANY)
    rows = [
        {"delivery": d.id, "message": d.message.message_id, "kind": d.message.kind}
        | {"from": d.message.sender, "to": d.receiver, "attempts": d.attempts}
        | {"since": d.changed_at, "reason": d.reason}
        for d in found
    ]
    records("Dead deliveries", rows, as_json=json, empty="No delivery is dead.")


dead.command("show")(trace)


@dead.command("requeue")
def requeue(
    by: By,
    id: One = None,
    to: To = None,
    kind: Kind = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    per_minute: Pace = PER_MINUTE,
    motive: Motive = "",
    yes: Yes = False,
    dir: Dir = HERE,
) -> None:
    """Try again, under the same id and with a new deadline: one delivery, or all that are chosen."""
    settings = load(dir)
    if id is None:
        chosen = _chosen(to, kind, code, since, until)
        return _bulk(settings, chosen, Act.REQUEUE, by, motive, per_minute, yes)
    with opened_store(settings) as store:
        if store.delivery(id) is None or not store.requeue(id, actor=person(by), now=_now()):
            raise NotFound(f"Een dode levering {id} is er niet.")
    typer.echo(f"{id} is due again")


@dead.command("drop")
def drop(
    by: By,
    motive: Motive,
    id: One = None,
    to: To = None,
    kind: Kind = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    per_minute: Pace = PER_MINUTE,
    yes: Yes = False,
    dir: Dir = HERE,
) -> None:
    """Give up for good: one delivery, or all that are chosen. What came after them may go."""
    settings = load(dir)
    if id is None:
        chosen = _chosen(to, kind, code, since, until)
        return _bulk(settings, chosen, Act.DROP, by, motive, per_minute, yes)
    with opened_store(settings) as store:
        actor, reason = person(by), why(motive)
        if not (store.delivery(id) and store.drop(id, actor=actor, motive=reason, now=_now())):
            raise NotFound(f"Een dode levering {id} is er niet.")
    typer.echo(f"{id} is given up")


@dead.command("repairs")
def list_repairs(dir: Dir = HERE, json: Json = False) -> None:
    """Repairs in bulk: who asked and agreed, and how far they are."""
    with _repairs(load(dir)) as repairs:
        rows = [asdict(repair) for repair in repairs.store.repairs(limit=MANY)]
    records("Repairs", rows, as_json=json, empty="Nothing was repaired in bulk.")


def _command(act: Callable[..., None], told: str) -> None:
    """A command that brings a repair to another stage."""

    def run(id: Which, by: By, dir: Dir = HERE) -> None:
        with _repairs(load(dir)) as repairs:
            act(repairs, id, by=by)
            found = repairs.find(id)
        typer.echo(f"{id}: {found.stage}, {found.done} of {found.total}")

    dead.command(act.__name__, help=told)(run)


_command(Repairs.approve, "Agree with a repair that somebody else proposed.")
_command(Repairs.pause, "Have a repair do no more for now.")
_command(Repairs.resume, "Let a paused repair go on.")
_command(Repairs.stop, "End a repair: what was not done stays dead.")


def _bulk(
    settings: Settings,
    selection: Selection,
    act: Act,
    by: str,
    motive: str,
    per_minute: int,
    yes: bool,
) -> None:
    """Show what is chosen; with --yes propose it."""
    with _repairs(settings) as repairs:
        groups = repairs.store.dead_groups(selection)
        rows: list[dict[str, Any]] = [asdict(group) for group in groups]
        records("Chosen", rows, as_json=False, empty="No dead delivery is chosen.")
        total = sum(group.count for group in groups)
        if not yes:
            if total:
                minutes = total / per_minute
                stderr().print(f"{total} deliveries, in {minutes:.1f} minutes; --yes does it.")
            return
        new = repairs.propose(selection, act, by=by, motive=motive, per_minute=per_minute)
    if new.stage is Stage.PROPOSED:
        typer.echo(f"{new.id}: {new.total} deliveries; somebody else runs `dead approve {new.id}`")
    else:
        typer.echo(f"{new.id}: {new.total} deliveries; the workers do it, see `dead repairs`")


def _chosen(
    to: str | None,
    kind: str | None,
    code: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Selection:
    selection = Selection(to, kind, code, _utc(since), _utc(until))
    if selection == Selection():
        raise BadRequest("Noem een levering, of kies met --to, --kind, --code, --since of --until.")
    return selection


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)
