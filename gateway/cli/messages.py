"""`send` and `inbox` as a partner does it; `trace` and `dead` as the operator of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.offline import installed, read, recognise
from gateway.cli.output import HERE, Dir, Json, records, say, table, write_json
from gateway.errors import NotFound
from gateway.ports import DeliveryRecord, MessageRecord, State, Store
from gateway.settings import load

As = Annotated[str, typer.Option("--as", metavar="PARTNER", help="Whose certificates to use.")]
dead = typer.Typer(help="Deliveries that need a person.", no_args_is_help=True)
MANY = 1000  # rows at most in a list for a person


@contextmanager
def _store(directory: Path) -> Iterator[Store]:
    from gateway.store import open_store

    store = open_store(load(directory).database_url)
    try:
        yield store
    finally:
        store.close()


def send(
    file: Annotated[Path, typer.Argument(help="A document in a dialect of the partner.")],
    partner: As,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Seal a document, offer it to the gateway, and verify the receipt."""
    from gateway.simulators.party import Party

    document = read(file)
    adapter, dialect = recognise(document, installed())
    bericht = adapter.parse(document, dialect=dialect).bericht
    xml = document.lstrip().startswith(b"<")
    with Party(load(dir), partner).client as client:
        sent = client.send(
            document,
            message_id=bericht.id,
            kind=bericht.soort,
            content_type="application/xml" if xml else "application/json",
        )
    if json:
        write_json({**asdict(sent.receipt), "location": sent.location})
    else:
        say(f"{sent.receipt.outcome}: {sent.receipt.id}, {sent.location}; the receipt is verified")


def inbox(
    partner: As,
    take: Annotated[
        Path | None, typer.Option("--take", help="Folder to fetch to; confirms what it keeps.")
    ] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """What lies in a partner's postbus; with --take it is fetched, kept and confirmed."""
    from gateway.simulators.party import Party

    with Party(load(dir), partner).client as client:
        rows = client.inbox()
        for row in rows if take else ():
            unsealed = client.fetch(row["id"])
            suffix = "xml" if unsealed.document.lstrip().startswith(b"<") else "json"
            take.mkdir(parents=True, exist_ok=True)
            (take / f"{row['id']}.{suffix}").write_bytes(unsealed.document)
            client.confirm(row["id"], unsealed.digest)
    records(f"Postbus of {partner}", rows, as_json=json, empty="The postbus is empty.")


def trace(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of message, delivery or conversation.")],
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Show a message's way, step by step."""
    with _store(dir) as store:
        ways = [way(store, message) for message in store.find(id)]
    if not ways:
        raise NotFound(f"Onder {id} is niets bekend.")
    if json:
        write_json(ways)
    for found in () if json else ways:
        show_way(found)


def way(store: Store, message: MessageRecord) -> dict[str, Any]:
    """All that is known of a message without opening it: record, deliveries, every step in order."""
    deliveries = store.deliveries_of(message.id)
    steps = [
        {"at": e.at, "delivery": e.delivery, "step": e.name, "detail": e.detail}
        for e in store.events_of(message.id)
    ]
    for delivery in deliveries:
        for attempt in store.attempts_of(delivery.id):
            detail = f"number {attempt['number']}: {attempt['outcome']}"
            if attempt["status"]:
                detail += f", HTTP {attempt['status']}"
            if attempt["code"]:
                detail += f", {attempt['code']}"
            detail += f", {attempt['duration_ms']:.0f} ms"
            detail += ", receipt kept" if attempt["receipt"] else ""
            steps.append(
                {"at": attempt["at"], "delivery": delivery.id, "step": "attempt", "detail": detail}
            )
    return {
        **asdict(message),
        "receipt": (store.receipt_of(message.id) or b"").decode(),
        "deliveries": [{k: v for k, v in asdict(d).items() if k != "message"} for d in deliveries],
        "steps": sorted(steps, key=lambda step: step["at"]),
    }


def show_way(found: dict[str, Any]) -> None:
    """A way for a person."""
    say(f"\n{found['kind']} {found['message_id']}, from {found['sender']} ({found['dialect']})")
    say(f"  conversation {found['conversation']}, huis {found['house']}")
    say(f"  grondslag {found['grounds']}; destroyed by {found['destroy_by']}")
    say(f"  lost when read: {lost(found['loss'])}")
    for delivery in found["deliveries"]:
        say(f"  to {delivery['receiver']} ({delivery['dialect']}): {delivery['state']}")
        say(f"    {delivery['reason'] or 'no reason needed'}; attempts {delivery['attempts']}")
        say(f"    struck out by doelbinding: {lost(delivery['removed'])}")
        say(f"    lost when written: {lost(delivery['loss'])}")
    start = found["received_at"]
    rows = (
        (
            f"{s['at']:%H:%M:%S.%f}"[:-3],
            f"+{(s['at'] - start).total_seconds():.3f} s",
            s["step"],
            s["detail"],
        )
        for s in found["steps"]
    )
    table("Steps", ("time (UTC)", "since receipt", "step", "detail"), rows)


def lost(loss: list[dict[str, str]]) -> str:
    """Paths and how, or `nothing`."""
    return ", ".join(f"{item['path']} ({item['how']})" for item in loss) or "nothing"


@dead.command("list")
def list_dead(dir: Dir = HERE, json: Json = False) -> None:
    """Which deliveries are dead, and why."""
    with _store(dir) as store:
        rows = [_line(delivery) for delivery in store.deliveries(state=State.DOOD, limit=MANY)]
    records("Dead deliveries", rows, as_json=json, empty="No delivery is dead.")


@dead.command("show")
def show_dead(id: str, dir: Dir = HERE, json: Json = False) -> None:
    """One delivery, with the way of its message."""
    with _store(dir) as store:
        delivery = _delivery(store, id)
        found = way(store, delivery.message)
    if json:
        write_json({**_line(delivery), "message": found})
    else:
        show_way(found)


@dead.command("requeue")
def requeue(id: str, dir: Dir = HERE) -> None:
    """Try a dead delivery again, under the same id and with a new deadline."""
    with _store(dir) as store:
        delivery = _delivery(store, id)
        if not store.requeue(id, actor=getuser(), now=datetime.now(UTC)):
            raise NotFound(f"Levering {id} is niet dood maar {delivery.state}.")
    say(f"{id} is due again")


def _delivery(store: Store, id: str) -> DeliveryRecord:
    found = store.delivery(id)
    if found is None:
        raise NotFound(f"Een levering {id} is niet bekend.")
    return found


def _line(delivery: DeliveryRecord) -> dict[str, Any]:
    return {
        "delivery": delivery.id,
        "message": delivery.message.message_id,
        "kind": delivery.message.kind,
        "from": delivery.message.sender,
        "to": delivery.receiver,
        "state": delivery.state,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "changed": delivery.changed_at,
    }
