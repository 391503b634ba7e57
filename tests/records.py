"""Messages and deliveries for tests of the store, and ways to press on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.ports import Loss, NewDelivery, NewMessage, Outcome, State
from gateway.store.sql import SqlStore

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OIN = "00000099000000010000"
DELIVERED = Outcome(State.AFGELEVERD, "ontvangen", receipt=b"their receipt", status=202)
DEAD = Outcome(State.DOOD, "niet-uitdrukbaar", code="niet-uitdrukbaar")


def a_delivery(number: int, *, lane: str = "", to: str = "landelijk", **new: Any) -> NewDelivery:
    return NewDelivery(
        **{
            "id": f"d{number}",
            "receiver": to,
            "dialect": "landelijk/1.0",
            "lane": lane or f"lane-{number}",
            "deadline_hours": 72,
            "pull": False,
            "removed": (Loss("betrokkenen.naam", "persoon", "weg", "geen grondslag"),),
            **new,
        }
    )


def a_message(number: int, *, lane: str = "", **new: Any) -> NewMessage:
    return NewMessage(
        **{
            "id": f"m{number}",
            "message_id": f"s{number}",
            "signer_oin": OIN,
            "sender": "zsm",
            "digest": f"digest-{number}",
            "kind": "bekendheidsverzoek",
            "dialect": "stuf-jz/1.0.9",
            "root": "vcobDi01",
            "house": "ZVH Ons Huis",
            "conversation": f"c{number}",
            "answers": None,
            "source": "urn:nld:oin:00000099000000010000:systeem:zsm",
            "received_at": NOW,
            "destroy_by": date(2031, 5, 1),
            "wrapped_key": b"key",
            "sealed_jws": b"jws",
            "sealed_document": b"document",
            "sealed_canonical": b"canonical",
            "receipt": f"receipt-{number}".encode(),
            "loss": (Loss("a.b", "geen", "afgerond", "tijd"),),
            "deliveries": (a_delivery(number, lane=lane),),
            "grounds": "Wjsg 39f",
            **new,
        }
    )


def state_of(store: SqlStore, delivery_id: str) -> State:
    found = store.delivery(delivery_id)
    assert found is not None
    return found.state


def steps(store: SqlStore, message: str) -> list[str]:
    return [event.name for event in store.events_of(message)]


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run all jobs at the same moment, each in its own thread."""
    gate = threading.Barrier(len(jobs))

    def wait_and(job: Callable[[], Any]) -> Any:
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(wait_and, jobs))


def python(code: str, *args: str) -> subprocess.Popen[str]:
    """Another process with the same import path as this one."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *args]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE)
