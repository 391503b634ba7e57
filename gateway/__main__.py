"""The program `gateway`."""

import sys

from gateway.cli import app
from gateway.cli.output import Exit, fail
from gateway.errors import GatewayError


def main() -> None:
    """Run a command; an error of ours becomes one line and an exit code, never a traceback."""
    try:
        app()
    except GatewayError as error:
        sys.exit(fail(error))
    except BrokenPipeError:  # `gateway trace … | head`
        sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
