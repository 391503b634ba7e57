"""`send` and `inbox` as a partner does it; `trace` and `dead` as the operator of the gateway."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.bootstrap import load_dialects
from gateway.cli.offline import read, recognise
from gateway.cli.output import HERE, Dir, Json, records, table, write_json
from gateway.errors import NotFound
from gateway.model.media import media_type
from gateway.ports import Loss, MessageRecord, Store
from gateway.settings import Settings, load

if TYPE_CHECKING:
    from gateway.store.sql import SqlStore

As = Annotated[str, typer.Option("--as", metavar="PARTNER", help="Whose certificates to use.")]
File = Annotated[Path, typer.Argument(help="A document in a dialect of the partner.")]
Take = Annotated[Path | None, typer.Option(help="Folder to fetch to, and confirm.")]
AnyId = Annotated[str, typer.Argument(metavar="ID", help="Of message, delivery or conversation.")]


def opened_store(settings: Settings) -> "closing[SqlStore]":
    """The store of a working directory, closed on leaving."""
    from gateway.store import open_store

    return closing(open_store(settings.database_url))


def send(file: File, partner: As, dir: Dir = HERE, json: Json = False) -> None:
    """Seal a document, offer it to the gateway, and verify the receipt."""
    from gateway.simulators.party import Party

    document = read(file)
    dialect, _ = recognise(document, load_dialects())
    bericht = dialect.parse(document).bericht
    form = media_type(document)
    with Party(load(dir), partner).client as client:
        sent = client.send(document, message_id=bericht.id, kind=bericht.soort, content_type=form)
    if json:
        write_json({**asdict(sent.receipt), "location": sent.location})
    else:
        typer.echo(
            f"{sent.receipt.outcome}: {sent.receipt.id}, {sent.location}; the receipt is verified"
        )


def inbox(partner: As, take: Take = None, dir: Dir = HERE, json: Json = False) -> None:
    """What lies in a partner's postbus; with --take it is fetched, kept and confirmed."""
    from gateway.simulators.party import Party

    with Party(load(dir), partner).client as client:
        rows = client.inbox()
        if take is not None:
            take.mkdir(parents=True, exist_ok=True)
            for row in rows:
                unsealed = client.fetch(row["id"])
                (take / f"{row['id']}.document").write_bytes(unsealed.document)
                client.confirm(row["id"], unsealed.digest)
    records(f"Postbus of {partner}", rows, as_json=json, empty="The postbus is empty.")


def trace(id: AnyId, dir: Dir = HERE, json: Json = False) -> None:
    """Show a message's way, step by step."""
    with opened_store(load(dir)) as store:
        ways = [way(store, message) for message in store.find(id)]
    if not ways:
        raise NotFound(f"Onder {id} is niets bekend.")
    if json:
        return write_json(ways)
    for found in ways:
        show_way(found)


def way(store: Store, message: MessageRecord) -> dict[str, Any]:
    """All that is known of a message without opening it: record, deliveries, every step in order."""
    deliveries, m = store.deliveries_of(message.id), message
    steps: list[tuple[datetime, str, str]] = [
        (m.received_at, "received", f"from {m.sender}, known to be OIN {m.signer_oin}"),
        (m.received_at, "read", f"{m.root} ({m.dialect}) as {m.kind}; lost: {lost(m.loss)}"),
        (m.received_at, "allowed", f"doelbinding: {m.grounds}; kept until {m.destroy_by}"),
    ]
    steps += [(event.at, event.name, event.detail) for event in store.events_of(m.id)]
    for d in deliveries:
        steps.append((d.created_at, "routed", f"to {d.receiver}; struck out: {lost(d.removed)}"))
        for a in store.attempts_of(d.id):
            http = a["status"] and f"HTTP {a['status']}"
            proof = a["receipt"] and "receipt verified and kept"
            told = (f"number {a['number']} to {d.receiver}", a["outcome"], a["code"], http, proof)
            detail = f"{', '.join(filter(None, told))} ({a['duration_ms']:.0f} ms)"
            steps.append((a["at"], "attempt", detail))
    steps.sort(key=lambda step: step[0])
    return {
        **asdict(m),
        "receipt": (store.receipt_of(m.id) or b"").decode(),
        "deliveries": [{k: v for k, v in asdict(d).items() if k != "message"} for d in deliveries],
        "steps": [dict(zip(("at", "step", "detail"), step, strict=True)) for step in steps],
    }


def show_way(found: dict[str, Any]) -> None:
    """A way for a person."""
    title = f"{found['kind']} {found['message_id']} in conversation {found['conversation']}"
    start = found["received_at"]
    rows = [
        (f"+{(s['at'] - start).total_seconds():.3f} s", s["step"], s["detail"])
        for s in found["steps"]
    ]
    for d in found["deliveries"]:
        written = lost(Loss(**item) for item in d["loss"])
        detail = f"{d['receiver']} ({d['dialect']}): {d['state']}. {d['reason']} Lost: {written}"
        rows.append(("now", "delivery", detail))
    table(title, (f"since {start:%Y-%m-%d %H:%M:%S} UTC", "step", "detail"), rows)


def lost(loss: Iterable[Loss]) -> str:
    """Paths and how, or `nothing`."""
    return ", ".join(f"{item.path} ({item.how})" for item in loss) or "nothing"
