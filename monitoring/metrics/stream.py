"""The driver's own metrics: stores in instruments what stream_jobs/running/measures.py reports."""

import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry

from monitoring.metrics import catalogue
from monitoring.metrics.catalogue import PHASES
from monitoring.metrics.instruments import Instruments, registry

# Spark's names for the phases of a trigger. An unknown phase counts only in the total.
_PHASE_OF = {
    "triggerExecution": "total",
    "latestOffset": "offsets",
    "getBatch": "planning",
    "queryPlanning": "planning",
    "addBatch": "write",
    "walCommit": "commit",
    "commitOffsets": "commit",
    "commitBatch": "commit",
}


class StreamMetrics:
    """The metrics of one driver. Threads may share it."""

    def __init__(self, queries: Iterable[str], datasets: Iterable[str]) -> None:
        """Args: queries: `<layer>.<table>`. datasets: label values for broken expectations."""
        self.registry: CollectorRegistry = registry()
        self._made = Instruments(catalogue.of("stream"), self.registry)
        for query in queries:
            self._made.make("query_restarts_total", *_labels(query))
        for dataset in datasets:
            self._made.make("expectations_broken_total", dataset)
        for layer in catalogue.LAYERS:
            self._made.make("batch_rows_total", layer, "read")

    def started(self, query: str) -> None:
        """A query was started: from now on it is expected to look for input."""
        self.looked(query)

    def batch_ended(self, query: str, rows: int, milliseconds: Mapping[str, int]) -> None:
        """A batch with rows ended."""
        layer, _ = _labels(query)
        self._made.add("batch_rows_total", layer, "read", amount=rows)
        spent = dict.fromkeys(PHASES, 0.0)
        for name, value in milliseconds.items():
            if name in _PHASE_OF:
                spent[_PHASE_OF[name]] += value / 1000
        for phase, seconds in spent.items():
            self._made.observe("batch_duration_seconds", layer, phase, value=seconds)

    def looked(self, query: str) -> None:
        """A query ended a batch, or looked for input and found none."""
        self._made.set("query_last_success_timestamp_seconds", *_labels(query), value=time.time())

    def rows_judged(self, layer: str, outcomes: Mapping[str, int]) -> None:
        """The outcomes of a batch's rows."""
        for outcome, rows in outcomes.items():
            self._made.add("batch_rows_total", layer, outcome, amount=rows)

    def restarted(self, query: str) -> None:
        """A query runs again after it failed or stalled."""
        self._made.add("query_restarts_total", *_labels(query))

    def broken(self, dataset: str, rows: int) -> None:
        """So many rows broke an expectation."""
        self._made.add("expectations_broken_total", dataset, amount=rows)

    def maintained(self) -> None:
        """A round of maintenance ended well."""
        self._made.set("maintenance_last_success_timestamp_seconds", value=time.time())

    def memory(self, area: str, used: int, committed: int, most: int | None) -> None:
        """The memory of the JVM."""
        self._made.set("jvm_memory_used_bytes", area, value=used)
        self._made.set("jvm_memory_committed_bytes", area, value=committed)
        if most is not None:
            self._made.set("jvm_memory_max_bytes", area, value=most)

    def files_removed(self, count: int) -> None:
        """Maintenance removed files."""
        self._made.add("maintenance_files_removed_total", amount=count)


def _labels(query: str) -> tuple[str, str]:
    layer, _, table = query.partition(".")
    return layer, table
