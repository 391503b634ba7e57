"""PostgreSQL under the store: sessions as we want them, and a server that is ill, dies and returns."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.errors import StoreUnavailable
from gateway.ports import Query, State, StoredReceipt
from gateway.store import engine, upgrade
from gateway.store.engine import connect, reading
from gateway.store.sql import SqlStore
from gateway.store.tables import metadata

from .postgres import own_database, own_postgres
from .records import DELIVERED, NOW, a_message, at_once, python

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    with own_database(postgres) as url:
        yield url


@pytest.fixture
def fresh(postgres: str) -> Iterator[str]:
    """A database without tables."""
    with own_database(postgres, tables=False) as url:
        yield url


def test_a_session_is_ours_whatever_the_server_has_as_default(url: str) -> None:
    theirs = {
        "synchronous_commit": "off",
        "default_transaction_isolation": "serializable",
        "statement_timeout": "0",
        "timezone": "Asia/Tokyo",
    }
    with psycopg.connect(url, autocommit=True) as sql:
        name = sql.info.dbname
        for setting, value in theirs.items():
            sql.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    ours = {**engine.SESSION, "timezone": "UTC", "transaction_isolation": "read committed"}
    ours["idle_in_transaction_session_timeout"] = "1min"
    for asking in (url, f"{url}?options=-c%20synchronous_commit%3Doff"):
        with closing(SqlStore(connect(asking))) as store, reading(store._engine) as sql:
            found = {name: sql.exec_driver_sql(f"SHOW {name}").scalar() for name in ours}
        assert found == ours


def test_processes_that_start_together_migrate_once(fresh: str) -> None:
    code = "import sys; from gateway.store import upgrade; upgrade(sys.argv[1])"
    processes = [python(code, fresh) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()

    with closing(SqlStore(connect(fresh))) as store, reading(store._engine) as sql:
        context = MigrationContext.configure(sql, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_owner_of_a_database_needs_no_other_right(postgres: str, fresh: str) -> None:
    name = fresh.rpartition("/")[2]
    with psycopg.connect(postgres, autocommit=True) as sql:
        sql.execute(f"CREATE ROLE {name} LOGIN")
        sql.execute(f"ALTER DATABASE {name} OWNER TO {name}")
        own = fresh.replace("postgres@", f"{name}@")
        upgrade(own)
        with closing(SqlStore(connect(own))) as store:
            assert store.accept(a_message(1)) is None
            assert store.claim(limit=1, lease_s=60, now=NOW) == ["d1"]
        sql.execute(f"ALTER DATABASE {name} OWNER TO postgres")
        with psycopg.connect(fresh, autocommit=True) as inside:
            inside.execute(f"DROP OWNED BY {name}")
        sql.execute(f"DROP ROLE {name}")


def test_a_server_that_is_killed_under_a_stream_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            stored: list[str] = []
            done = threading.Event()

            def send(first: int) -> None:
                for number in count(first, 4):
                    if done.is_set():
                        return
                    message = a_message(number)
                    while True:  # as a sender does: the same message until there is an answer
                        with suppress(StoreUnavailable):
                            store.accept(message)
                            break
                        time.sleep(0.02)
                    stored.append(message.message_id)

            with ThreadPoolExecutor(4) as pool:
                jobs = [pool.submit(send, first) for first in range(4)]
                for _ in range(3):
                    enough = len(stored) + 50
                    _until(partial(_longer, stored, enough))
                    server.stop()
                    server.start()
                done.set()
                for job in jobs:
                    job.result(timeout=60)
            found = store.search(Query(limit=100_000))
            assert sorted(m.message_id for m in found) == sorted(stored)
            assert store.counts() == {("landelijk", State.KLAAR): len(stored)}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
def test_the_first_question_after_a_restart_is_answered(tmp_path: Path, how: int) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            at_once(*[store.ping] * 8)  # as many connections
            server.stop(how)
            with pytest.raises(StoreUnavailable):
                store.ping()
            server.start()
            for _ in range(8):
                store.ping()


def test_a_commit_whose_answer_is_lost_is_an_error_and_its_repeat_a_duplicate(
    tmp_path: Path,
) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with (
            closing(SqlStore(connect(server.url))) as store,
            psycopg.connect(server.url, autocommit=True) as sql,
            ThreadPoolExecutor(1) as pool,
        ):
            # On the disk here, and waiting for a standby that never comes: in the middle of COMMIT.
            sql.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            sql.execute("SELECT pg_reload_conf()")
            _until(lambda: sql.execute("SHOW synchronous_standby_names").fetchone() == ("nobody",))
            asked = pool.submit(store.accept, a_message(1))
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            _until(lambda: sql.execute(cut).fetchone() is not None)
            with pytest.raises(StoreUnavailable):
                asked.result(timeout=30)
            sql.execute("ALTER SYSTEM RESET synchronous_standby_names")
            sql.execute("SELECT pg_reload_conf()")

            assert store.accept(a_message(1, id="m2", deliveries=())) == StoredReceipt(
                "m1", "digest-1", b"receipt-1"
            )
            assert store.counts() == {("landelijk", State.KLAAR): 1}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("25006", id="read-only"),
        pytest.param("40001", id="serialization"),
        pytest.param("40P01", id="deadlock"),
        pytest.param("53100", id="disk-full"),
        pytest.param("53200", id="out-of-memory"),
        pytest.param("53300", id="too-many-connections"),
        pytest.param("55P03", id="lock-timeout"),
        pytest.param("57014", id="statement-timeout"),
        pytest.param("57P01", id="admin-shutdown"),
        pytest.param("57P03", id="crash-recovery"),
        pytest.param("58030", id="io-error"),
        pytest.param("XX001", id="data-corrupted"),
    ],
)
def test_what_ails_the_server_is_an_unavailable_store_and_nothing_is_half_there(
    url: str, code: str
) -> None:
    with closing(SqlStore(connect(url))) as store, psycopg.connect(url, autocommit=True) as sql:
        sql.execute(
            "CREATE FUNCTION ail() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END$$"
        )
        sql.execute("CREATE TRIGGER ail AFTER INSERT ON event EXECUTE FUNCTION ail()")
        with pytest.raises(StoreUnavailable):
            store.accept(a_message(1))
        sql.execute("DROP TRIGGER ail ON event")
        assert store.find("s1") == []
        assert store.accept(a_message(1)) is None


def test_only_a_verified_server_gets_the_password_and_only_the_password_opens_it(
    tmp_path: Path, pki: Path
) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with psycopg.connect(server.url, autocommit=True) as sql:
            sql.execute("ALTER USER postgres PASSWORD 'hemel en aarde'")
            for name, file in (("cert", "gateway-tls.crt"), ("key", "gateway-tls.key")):
                server.put(f"server.{name}", (pki / file).read_bytes())
                sql.execute(f"ALTER SYSTEM SET ssl_{name}_file = 'server.{name}'")
            server.put("pg_hba.conf", b"hostssl all all 127.0.0.1/32 scram-sha-256\n")
            sql.execute("ALTER SYSTEM SET ssl = on")
            sql.execute("SELECT pg_reload_conf()")
            _until(lambda: sql.execute("SHOW ssl").fetchone() == ("on",))

        def asks(password: str, mode: str, ca: str = "ca.crt") -> bool:
            at = server.url.replace("postgres@127.0.0.1", f"postgres:{password}@localhost")
            with closing(SqlStore(connect(f"{at}?sslmode={mode}&sslrootcert={pki / ca}"))) as store:
                return _works(store.ping)

        assert asks("hemel%20en%20aarde", "verify-full")
        assert not asks("hemel%20en%20aarde", "verify-full", "broken-rogue-ca.crt")
        assert not asks("hemel%20en%20aarde", "disable")
        assert not asks("aarde", "verify-full")


def test_a_server_that_hangs_is_given_up_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.SERVER, "tcp_user_timeout", 1000)
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            server.signal(signal.SIGSTOP)
            try:
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    store.ping()
                assert time.monotonic() - began < 20
            finally:
                server.signal(signal.SIGCONT)
            store.ping()


def test_a_server_without_room_refuses_and_goes_on_when_there_is(
    tmp_path: Path,
) -> None:
    """Too many connections: an error of the moment, not of the message."""
    with own_postgres(tmp_path / "server", max_connections="10") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            taken: list[psycopg.Connection] = []
            with suppress(psycopg.OperationalError):
                while True:
                    taken.append(psycopg.connect(server.url))
            with pytest.raises(StoreUnavailable):
                store.accept(a_message(1))
            for one in taken:
                one.close()
            _until(lambda: _works(store.ping))
            assert store.accept(a_message(1)) is None


def test_a_statement_that_waits_for_a_lock_too_long_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.SESSION, "lock_timeout", "200ms")
    with closing(SqlStore(connect(url))) as store:
        store.accept(a_message(1))
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM lane FOR UPDATE")
            with pytest.raises(StoreUnavailable):
                store.settle("d1", DELIVERED, now=NOW)
        store.settle("d1", DELIVERED, now=NOW)


def _longer(found: list[str], enough: int) -> bool:
    return len(found) > enough


def _works(act: Callable[[], object]) -> bool:
    with suppress(StoreUnavailable):
        act()
        return True
    return False


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
