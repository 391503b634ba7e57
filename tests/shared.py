"""One server a session, shared by all workers of pytest-xdist."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Stop = Callable[[], None]


@contextmanager
def shared(
    factory: pytest.TempPathFactory, name: str, start: Callable[[Path], tuple[str, Stop]]
) -> Iterator[str]:
    """
    The URL of the session's server, which the first who asks starts in the folder that it is given.

    Every worker holds a shared lock while it uses the server. The worker that started it waits at
    its end until it can have the lock alone, and stops it.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    address, stop = folder / "url", None
    with (folder / "start.lock").open("w") as starting, (folder / "users.lock").open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if not address.exists():
            url, stop = start(folder / "node")
            address.write_text(url)
        fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield address.read_text()
        finally:
            if stop is not None:
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
                stop()
