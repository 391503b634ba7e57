"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest
from hypothesis import settings

from gateway.security.seal import JoseSealer
from gateway.store import upgrade
from gateway.store.engine import connect
from gateway.store.sql import SqlStore

from .edge import Running, make_pki, running
from .pki import make_test_pki, sealer_of
from .postgres import own_database, shared_postgres
from .world import World

CI = os.environ.get("CI") == "true"

# No deadline: a busy machine is not a fault. In CI the same examples every time, so that a failure
# belongs to the change that caused it.
settings.register_profile("gateway", deadline=None, derandomize=CI)
settings.load_profile("gateway")


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Call it when a real component is not there: a skip on a laptop, a failure in CI."""

    def missing(component: str) -> NoReturn:
        if CI:
            pytest.fail(f"{component} is missing, and CI tests against the real thing")
        pytest.skip(f"{component} is missing; `make test` installs it with apt")

    return missing


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A wired gateway and its partners."""
    world = World(tmp_path)
    yield world
    world.store.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    with shared_postgres(tmp_path_factory) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; every test runs on both."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/store.db"
        upgrade(url)
        yield url
    else:
        with own_database(request.getfixturevalue("postgres")) as url:
            yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """A store on that database."""
    with closing(SqlStore(connect(url))) as store:
        yield store


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[SqlStore]:
    """A store on SQLite, for what holds of that alone."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    with closing(SqlStore(connect(url))) as store:
        yield store


@pytest.fixture
def another(url: str) -> Iterator[Callable[[], SqlStore]]:
    """More stores on that database, as other nodes have."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqlStore(connect(url))))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a PKI with three parties; read only."""
    return make_test_pki(tmp_path_factory)


@pytest.fixture(scope="module")
def sealers(pki: Path) -> dict[str, JoseSealer]:
    """The seal of each party."""
    return {name: sealer_of(name, pki) for name in ("gateway", "zsm", "landelijk")}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The edge of a gateway on a free port; for the tests of one module."""
    pki = make_pki(tmp_path_factory.mktemp("pki"))
    with running(pki, tmp_path_factory.mktemp("store")) as edge:
        yield edge


@pytest.fixture(scope="module")
def zsm(edge: Running) -> Iterator[httpx2.Client]:
    """ZSM's connection to it."""
    with edge.client("zsm") as client:
        yield client
