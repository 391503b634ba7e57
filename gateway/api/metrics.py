"""Prometheus metrics of this process and of the store; labels name partners, kinds and codes only."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from gateway.errors import StoreUnavailable
from gateway.ports import Store

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # 0.2 s is the target for p99


class Metrics(Collector):
    """Counters of this process, and gauges that are read from the store when asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.registry = at = CollectorRegistry()
        self.accepted = Counter("zvh_accepted", "Accepted", ["partner", "kind"], registry=at)
        self.refused = Counter("zvh_refused", "Refused", ["partner", "code"], registry=at)
        self.repeated = Counter("zvh_repeated", "Repeats, answered as before", registry=at)
        self.seconds = Histogram("zvh_accept_seconds", "To accept", buckets=BUCKETS, registry=at)
        at.register(self)

    def describe(self) -> list[Gauge]:
        return []  # so that registration does not read the store

    def collect(self) -> Iterator[Gauge]:
        deliveries = Gauge("zvh_deliveries", "Deliveries", labels=["partner", "state"])
        oldest = Gauge("zvh_oldest_due_seconds", "How long the oldest due delivery waits")
        failing = Gauge("zvh_partner_failing", "Deliveries failed in a row", labels=["partner"])
        try:
            counts, due = self._store.counts(), self._store.oldest_due()
            standings = self._store.standings()
        except StoreUnavailable:
            return  # the gauges are absent, and /health/ready says why
        for labels, count in counts.items():
            deliveries.add_metric(labels, count)
        for partner, standing in standings.items():
            failing.add_metric([partner], standing.failures)
        waits = (datetime.now(UTC) - due).total_seconds() if due else 0
        oldest.add_metric([], max(0, waits))
        yield from (deliveries, oldest, failing)
