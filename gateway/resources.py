"""Where the data folders are: inside the wheel, or beside the code in a checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def folder(name: str) -> Traversable:
    """The data folder called `name`. Raises LookupError when it is in neither place."""
    beside: tuple[Traversable, ...] = (files("gateway") / "_data", Path(__file__).parents[1])
    for place in beside:
        if (found := place / name).is_dir():
            return found
    raise LookupError(f"no data folder {name!r}, neither in the wheel nor in a checkout")
