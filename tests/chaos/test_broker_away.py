"""
The broker stops under load: every message is still accepted, and all arrive when it is back.

`AWAY_S=600 RATE=50` makes it the long run: ten minutes at fifty messages a second.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from gateway.ports import State
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from ..process import until
from .installation import Installation, cluster, received

AWAY_S = float(os.environ.get("AWAY_S", "5"))
RATE = float(os.environ.get("RATE", "20"))  # messages a second
SENDERS = 5

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(7200)]


class Listener(National):
    """Takes messages, and answers none."""

    def answer(self, document: bytes, id: str) -> None:
        return None


def _steadily(zsm: Zsm, number: int, seconds: float) -> list[str]:
    """Send at a set pace; every message must be accepted at once."""
    sent: list[str] = []
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        reference = f"K{number}-{len(sent):06}"
        zsm.offer(
            zsm.question(JAN, reference=reference, case=f"ZAAK-{number}-{len(sent) % 50}"),
            reference,
        )
        sent.append(reference)
        time.sleep(max(0.0, len(sent) * SENDERS / RATE - spent))
    return sent


def _all_arrive(installation: Installation, wipe: bool) -> None:
    broker, settings = installation.broker, installation.settings
    assert broker
    installation.start()
    parties = [Zsm(settings) for _ in range(SENDERS)]
    with Listener(settings) as landelijk, ThreadPoolExecutor(SENDERS) as pool:
        jobs = [pool.submit(_steadily, p, n, AWAY_S + 4) for n, p in enumerate(parties)]
        until(lambda: len(received(landelijk.folder)) > 3, "the first arrive")
        broker.stop()
        time.sleep(AWAY_S)  # this is what is tested, not a wait for something
        if wipe:
            shutil.rmtree(broker.folder / "MNESIA_BASE")
        broker.start()  # and imports its definitions
        sent = [reference for job in jobs for reference in job.result()]
        for party in parties:
            party.client.close()
        ledger = landelijk.folder / "ledger.jsonl"
        patience = 120 + 10 * AWAY_S
        with closing(open_store(settings.database_url)) as store:
            delivered = {("landelijk", State.AFGELEVERD): len(sent)}
            until(lambda: store.counts() == delivered, "all are delivered", patience)
        arrived = Counter(reference for _, reference in received(landelijk.folder))
    print(
        f"\n{len(sent)} messages accepted, {json.dumps(wipe)} wiped, broker away {AWAY_S:.0f} s;"
        f" {len(ledger.read_text().splitlines())} arrived"
    )
    assert arrived == Counter(sent)
    assert len(sent) > RATE * AWAY_S * 0.8


@pytest.mark.parametrize("wipe", [False, True], ids=["stopped", "wiped"])
def test_every_message_is_accepted_while_the_broker_is_away(tmp_path: Path, wipe: bool) -> None:
    with cluster(tmp_path) as installation:
        _all_arrive(installation, wipe)
