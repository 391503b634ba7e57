"""The architecture holds: imports point inward, errors form one tree, importing does nothing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import adapters
import gateway
from gateway import errors
from gateway.errors import GatewayError

ROOT = Path(__file__).resolve().parents[1]

# Imports every module of the product and reports what it does to the world meanwhile. Migrations
# are scripts that Alembic runs, `__main__` is the program itself.
WATCH = """
import importlib, pkgutil, sys
seen = []
def hook(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append(f"{event} {args[0]}")
    elif event in {"socket.connect", "socket.bind", "subprocess.Popen", "sqlite3.connect", "os.mkdir"}:
        seen.append(event)
sys.addaudithook(hook)
import gateway, adapters
modules = [m for p in (gateway, adapters) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
for name in (m.name for m in modules):
    if ".migrations" not in name and not name.endswith(".__main__"):
        importlib.import_module(name)
print(*seen, sep="\\n")
"""


def classes(of: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """The tree of errors, parents first; not what another module made of one."""
    yield of
    for child in of.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


def test_import_contracts_hold() -> None:
    """pyproject.toml says who may import whom."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_importing_does_nothing() -> None:
    """No file is written, no connection made, no process started: `bootstrap` does that, later."""
    result = subprocess.run(
        [sys.executable, "-c", WATCH],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


def test_every_module_says_what_it_is_for() -> None:
    paths = [p for top in (gateway, adapters) for p in Path(top.__path__[0]).rglob("*.py")]

    assert [p for p in paths if not ast.get_docstring(ast.parse(p.read_text("utf-8")))] == []


def test_every_partner_is_found_under_its_own_name() -> None:
    found = {point.name: point.load() for point in entry_points(group="gateway.adapters")}

    assert {"zsm", "national"} <= set(found)
    assert list(found) == [adapter.name for adapter in found.values()]


def test_every_error_has_its_own_code() -> None:
    codes = [error.code for error in classes()]

    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_every_error_tells_operator_and_sender_what_to_do(error: type[GatewayError]) -> None:
    assert error.__doc__
    if issubclass(error, errors.Unavailable | errors.Misconfigured):
        assert "operator" in vars(error), "each class needs its own sentence for the operator"
        assert error.operator.endswith((".", "?"))
    assert error.titel and not error.titel.endswith(".")
    assert error.advies.endswith(".")
    assert not issubclass(error, errors.Refused) or 400 <= error.status < 500
    assert error.transient == issubclass(error, errors.Unavailable)


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """Name, parent, code and status of each class, as the docstring of the module shows them."""
    marks = {"x": 1, "+": 2, "-": 3, ".": 4}
    drawn: dict[str, tuple[str, str | None, int | None]] = {}
    above: dict[int, str] = {0: "GatewayError"}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r" +([x+.-]) (\w+) +(.*)", line):
            level = marks[match[1]]
            above[level] = match[2]
            told = re.match(r"([a-z-]+)(?: +(\d{3}))?$", match[3]) if level > 1 else None
            code, status = (told[1], told[2]) if told else (None, None)
            drawn[match[2]] = (above[level - 1], code, int(status) if status else None)

    real = {error.__name__: error for error in classes() if error is not GatewayError}
    assert set(real) == set(drawn)
    for name, (parent, code, status) in drawn.items():
        assert parent == real[name].__base__.__name__  # type: ignore[union-attr]  # never object
        assert code in (None, real[name].code)
        assert status in (None, real[name].status)
