"""Where the data folders are: inside the wheel, or beside the code in a checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

FOLDERS = frozenset({"schemas", "mappings", "queue", "certs"})


def folder(name: str) -> Traversable:
    """
    The data folder called `name`.

    Raises:
        LookupError: no such data folder, or it is in neither place.
    """
    if name not in FOLDERS:
        raise LookupError(f"no data folder is called {name!r}")
    packaged = files("gateway") / "_data" / name
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[1] / name
    if checkout.is_dir():
        return checkout
    raise LookupError(f"data folder {name!r} is neither in the wheel nor in a checkout")
