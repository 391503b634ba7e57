"""Long-running commands: the gateway's processes, the simulators, the demo; and its bus."""

import secrets
import signal
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import typer

from gateway import bus as buses
from gateway import logs
from gateway.bootstrap import Gateway, build, bus_address
from gateway.cli.output import HERE, Dir, Exit, Json, records
from gateway.settings import load

Who = Annotated[str, typer.Argument(metavar="PARTNER", help="As gateway.toml names it.")]
bus = typer.Typer(help="The bus and its queues.", no_args_is_help=True)

_AS_IT_SHOULD = "the bus is as queue/topology.toml says"
_HALF_SEEN = (
    "Only names were looked at, not limits and bindings: this user may not configure, and AMQP shows "
    'them to no other. Set "bus-management" to see everything.'
)
_MENDING = """\
What is missing:          gateway bus definitions > definitions.json
                          rabbitmqctl import_definitions definitions.json
What has another shape:   RabbitMQ changes no queue. Stop the workers, `rabbitmqctl delete_queue NAME`
                          (what lay in it is offered again), and import as above.
What is one too many:     delete it in the management interface, or with rabbitmqadmin."""


def serve(dir: Dir = HERE) -> None:
    """Take messages in: the API and the management listener."""
    with _gateway(dir) as gateway:
        gateway.listen().run()


def work(dir: Dir = HERE) -> None:
    """Deliver messages."""
    with _gateway(dir) as gateway:
        gateway.worker.start()
        until_stopped()
        gateway.worker.stop()


def run(dir: Dir = HERE) -> None:
    """Take messages in and deliver them: `serve` and `work` in one process."""
    with _gateway(dir) as gateway:
        servers = gateway.listen()
        gateway.worker.start()
        servers.run()
        gateway.worker.stop()


def _gateway(directory: Path) -> AbstractContextManager[Gateway]:
    from gateway.store import upgrade

    logs.configure()
    settings = load(directory)
    upgrade(settings.database_url)  # so that a new release needs no step of its own
    return build(settings)


def simulate(who: Who, dir: Dir = HERE) -> None:
    """Be a partner until Ctrl-C: zsm, politie, reclassering, gcos and dji begin, the others answer what they get."""
    from gateway.simulators.chain import PARTIES, Dji, Politie
    from gateway.simulators.gcos import Gcos
    from gateway.simulators.national import National
    from gateway.simulators.reclassering import Reclassering
    from gateway.simulators.zsm import JAN, NOBODY, PIET, Zsm

    others = {party.name: party for party in (Zsm, National, Reclassering, Gcos)}
    known: dict[str, Any] = {**others, **PARTIES}
    if who not in known:
        raise typer.BadParameter(f"{who} cannot be simulated; known: {', '.join(sorted(known))}")
    with known[who](load(dir)) as party:
        typer.echo(f"{who} runs, and keeps what it receives in {party.folder}; Ctrl-C ends it")
        if isinstance(party, Zsm):
            for suspect in (JAN, PIET, NOBODY):
                typer.echo(f"asked about one suspect: {party.ask(suspect).receipt.id}")
        if isinstance(party, Politie):
            typer.echo(f"reported a family: {party.report(_case('PL2000')).receipt.id}")
        if isinstance(party, Reclassering):
            typer.echo(f"reported somebody: {party.report(_case('IRIS'))}")
        if isinstance(party, Gcos):
            typer.echo(f"exported a casus: {party.export(_case('BAR'))}")
        if isinstance(party, Dji):
            typer.echo(f"announced a return: {party.announce(_case('BIJ')).receipt.id}")
        until_stopped()


def _case(prefix: str) -> str:
    return f"{prefix}-{secrets.randbelow(10**10):010}"


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself: 0 if as told.")] = False,
    bus: Annotated[Literal["table", "rabbitmq"], typer.Option(help="Over which bus.")] = "table",
    dir: Annotated[Path | None, typer.Option(help="New folder, that is kept.")] = None,
) -> None:
    """Play a real conversation between ZSM and the national system through a real gateway."""
    from gateway.cli.demo import play

    play(directory=dir, rabbitmq=bus == "rabbitmq", once=once)


@bus.command("declare")
def declare(dir: Dir = HERE) -> None:
    """Make what queue/topology.toml says on a broker for development; needs the right to configure."""
    buses.declare(bus_address(load(dir)))
    typer.echo(_AS_IT_SHOULD)


@bus.command("check")
def check(dir: Dir = HERE) -> None:
    """Compare the broker with queue/topology.toml; exit 3 and a line for every difference."""
    found = buses.check(bus_address(load(dir)))
    for difference in found.differences:
        typer.echo(difference)
    if not found.complete:
        typer.echo(_HALF_SEEN, err=True)
    if found.differences:
        typer.echo(_MENDING, err=True)
        raise typer.Exit(Exit.MISCONFIGURED)
    if found.complete:
        typer.echo(_AS_IT_SHOULD)


@bus.command("definitions")
def definitions(dir: Dir = HERE) -> None:
    """What RabbitMQ imports at boot, for the partners and the user of gateway.toml."""
    at = bus_address(load(dir))
    login = urlsplit(at.url)
    name, password = unquote(login.username or ""), unquote(login.password or "")
    user = buses.User(name, password) if name and password else None
    typer.echo(buses.boot_definitions(at, user), nl=False)


@bus.command("dead")
def dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, oldest first.")] = 100,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Copies that the broker parked because their worker died each time; the store has the delivery."""
    found = buses.dead_letters(bus_address(load(dir)), limit=limit)
    rows = [letter._asdict() for letter in found]
    records("Parked by the broker", rows, as_json=json, empty="Nothing is parked.")


@bus.command("status")
def status(dir: Dir = HERE, json: Json = False) -> None:
    """What lies in each queue, and what the store holds for each partner."""
    with _gateway(dir) as gateway:
        gateway.bus.ping()
        found, counts = gateway.bus.status(), gateway.store.counts()
        standings = gateway.store.standings()
    loads = buses.loads(bus_address(load(dir)))
    lines = [(f"queue {name}", "ready", count) for name, count in found.items()]
    lines += [
        (f"queue {q}", what, n) for q, counted in loads.items() for what, n in counted.items()
    ]
    lines += [(f"deliveries to {who}", state, count) for (who, state), count in counts.items()]
    for who, how in standings.items():
        until = f"left alone until {how.open_until:%H:%M:%S} UTC, " if how.open_until else ""
        lines.append((f"partner {who}", f"{until}failed in a row", how.failures))
    rows = [dict(zip(("what", "state", "count"), line, strict=True)) for line in sorted(lines)]
    records("Bus and store", rows, as_json=json, empty="There are no queues.")


def until_stopped() -> None:
    """Wait for SIGTERM or Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
