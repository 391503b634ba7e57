"""The tree is what it should be, in a checkout and in the installed wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import files, version
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

import adapters
import gateway
from gateway import resources
from gateway.model import SOORTEN, export
from gateway.ports import State

ROOT = Path(__file__).resolve().parents[1]
DATA = ("schemas", "mappings", "queue")
PACKAGES = (gateway, adapters)

# The tree of the project; a new name at the top is a decision.
TOP = frozenset(
    {
        "gateway", "adapters", "schemas", "mappings", "queue", "certs", "tests", "docs", ".ci",
        ".gitignore", "pyproject.toml", "requirements.lock", "Makefile", "README.md",
        "CHANGELOG.md", "LICENSE", "publiccode.yml",
    }
)  # fmt: skip
MODULE_LINES = 400  # more is a second noun
TEST_LINES = 600  # more is a second subject
# Lists of small contracts, each read as one page.
LONG = frozenset({"gateway/errors.py", "gateway/ports.py"})


def tree() -> list[Path]:
    """Every file that is or would be committed; in an unpacked sdist, every file of it."""
    if (ROOT / ".git").exists():
        command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others"]
        out = subprocess.run(
            [*command, "--exclude-standard"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
        found = [Path(name) for name in out.split("\0") if name]
    else:
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        found = [
            p for p in found if not {"__pycache__", ".pytest_cache", ".hypothesis"} & {*p.parts}
        ]
        found = [p for p in found if p.name != "PKG-INFO"]
    return [path for path in found if (ROOT / path).is_file()]


def names(folder: Traversable, prefix: str = "") -> set[str]:
    """Every file below a data folder, as it is found through the installed package."""
    found: set[str] = set()
    for entry in folder.iterdir():
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            found |= names(entry, f"{prefix}{entry.name}/")
        else:
            found.add(prefix + entry.name)
    return found


def modules() -> list[Path]:
    """Every module of the product, wherever it is installed."""
    return [
        path for package in PACKAGES for path in sorted(Path(package.__path__[0]).rglob("*.py"))
    ]


@pytest.mark.parametrize("flags", [[], ["-P"]], ids=["root on the path", "safe path"])
def test_import_queue_is_the_standard_library(flags: list[str]) -> None:
    out = subprocess.run(
        [sys.executable, *flags, "-c", "import queue; print(queue.__file__)"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert str(Path(sysconfig.get_path("stdlib"), "queue.py")) == out.strip()


def test_a_thread_pool_works_from_the_root() -> None:
    """What breaks first when a folder of ours hides the module `queue`."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor as P; print(P(1).submit(int).result())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout

    assert out.strip() == "0"


@pytest.mark.parametrize("folder", DATA)
def test_data_folders_hold_no_python(folder: str) -> None:
    found = names(resources.folder(folder))

    assert [name for name in found if name.endswith((".py", ".pyc", ".pyi"))] == []


@pytest.mark.parametrize("folder", DATA)
def test_data_folders_are_complete(folder: str) -> None:
    expected = {p.relative_to(folder).as_posix() for p in tree() if p.parts[0] == folder}

    assert expected
    assert expected <= names(resources.folder(folder))


def test_the_maker_of_the_development_pki_travels_along() -> None:
    assert "def " in (resources.folder("certs") / "make_dev_pki.py").read_text("utf-8")


def test_an_unknown_data_folder_is_an_error() -> None:
    with pytest.raises(LookupError, match="no data folder"):
        resources.folder("elsewhere")


def test_the_canonical_schemas_are_current() -> None:
    """`make schemas` writes them from the model."""
    folder = resources.folder("schemas") / "canonical"
    stored = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}

    assert export.documents() == stored


def test_no_key_is_kept() -> None:
    secret = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY" + rb"-----")
    suspect = [
        path
        for path in tree()
        if path.suffix in {".key", ".p12", ".pfx", ".pem"}
        or secret.search((ROOT / path).read_bytes())
    ]

    assert suspect == []


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = re.findall(
        r"^([a-z0-9._-]+)==\S+(?: ;[^\\\n]*)? \\\n    --hash=sha256:", lock, re.MULTILINE
    )

    assert len(re.findall(r"^\S+", lock, re.MULTILINE)) == len(pinned)
    assert not re.search(r"://|--(index|extra|find|trusted)|@ ", lock)


def test_the_lock_covers_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {line.partition("==")[0] for line in lock.splitlines() if "==" in line}

    assert {re.split(r"[^A-Za-z0-9._-]", need)[0].lower() for need in wanted} <= locked


def test_the_top_level_holds_only_what_belongs_there() -> None:
    assert {path.parts[0] for path in tree()} <= TOP


def test_the_distribution_installs_two_packages_and_no_more() -> None:
    installed = {path.parts[0] for path in files("zvh-gateway") or ()}
    own = {name for name in installed if not name.startswith(("zvh_gateway-", "_", ".."))}

    assert own <= {"gateway", "adapters"}


def test_no_module_is_too_long() -> None:
    limits = {path: MODULE_LINES for path in modules() if "/".join(path.parts[-2:]) not in LONG}
    limits |= dict.fromkeys((ROOT / "tests").rglob("*.py"), TEST_LINES)
    lines = {path: path.read_text("utf-8").count("\n") for path in limits}

    assert {path: count for path, count in lines.items() if count > limits[path]} == {}


def test_the_product_is_finished() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")

    assert [path for path in modules() if marks.search(path.read_text("utf-8"))] == []


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert gateway.__version__ == project["version"] == version("zvh-gateway")

    publiccode = (ROOT / "publiccode.yml").read_text("utf-8")
    assert f'softwareVersion: "{gateway.__version__}"' in publiccode

    assert f"## [{gateway.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_glossary_explains_every_state_and_kind() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")

    assert [state for state in State if f"| `{state}` |" not in glossary] == []
    assert [kind for kind in SOORTEN if f"| {kind} |" not in glossary] == []
