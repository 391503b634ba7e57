"""The command line. Each command imports what it needs when it runs, so that `--help` is quick."""

import typer

from gateway.cli import dead, mapping, messages, offline, running, setup

app = typer.Typer(
    name="gateway",
    help="ZVH gateway. Exit codes: 0 done, 1 refused or not found, 2 wrong usage, "
    "3 misconfigured, 4 unavailable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    *(setup.init, running.serve, running.work, running.run, running.demo, running.simulate),
    *(messages.send, messages.inbox, messages.trace, offline.translate, offline.check),
):
    app.command()(command)
app.add_typer(dead.dead, name="dead")
app.add_typer(running.bus, name="bus")
app.add_typer(mapping.mapping, name="mapping")
app.add_typer(setup.certs, name="certs")
