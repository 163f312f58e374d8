"""One log line per micro-batch, from the progress that Spark keeps of a query."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql.streaming.query import StreamingQuery

from foundation.log import get_logger
from stream_jobs.running.measures import UNMEASURED, Measures


@dataclass
class Progress:
    """What was reported of one query since it started.

    Attributes:
        rows: input rows of all batches reported.
        looked_at: when the query last looked for input, whether it found any; Spark says so every ten seconds at least.
    """

    query: StreamingQuery
    measures: Measures = UNMEASURED
    rows: int = 0
    looked_at: datetime | None = None
    _last: int = field(default=-1, init=False)
    _seen: str = field(default="", init=False)

    def report(self) -> None:
        """Log the batches that ended since the last call. Spark keeps the latest 20; call it more often than that."""
        jvm_query = self.query._jsq  # pyspark's own property builds some hundred objects per call
        latest = jvm_query.lastProgress()
        if latest is None or (moment := latest.timestamp()) == self._seen:
            return
        self._seen, self.looked_at = moment, datetime.fromisoformat(moment)
        for each in jvm_query.recentProgress():
            # The JSON, because offsets as attributes are printed Python objects.
            batch = json.loads(each.json())
            if batch["batchId"] <= self._last or not batch["numInputRows"]:
                continue
            self._last = batch["batchId"]
            self.rows += batch["numInputRows"]
            self.measures.batch_ended(batch["name"], batch["numInputRows"], batch["durationMs"])
            get_logger("stream").info(
                "query_progressed",
                query=batch["name"],
                batch_id=batch["batchId"],
                rows=batch["numInputRows"],
                seconds=batch["durationMs"]["triggerExecution"] / 1000,
            )
