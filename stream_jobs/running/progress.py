"""One log line per micro-batch, from the progress that Spark keeps of a query."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql.streaming.query import StreamingQuery

from foundation.log import get_logger
from stream_jobs.running.measures import UNMEASURED, Measures
from stream_jobs.running.pace import Read


@dataclass
class Progress:
    """What was reported of one query since it started.

    Attributes:
        read: all batches reported that had rows.
        looked_at: when the query last looked for input, whether it found any; Spark says so every ten seconds at least.
    """

    query: StreamingQuery
    measures: Measures = UNMEASURED
    read: Read = field(default_factory=Read)
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
            rows, seconds = batch["numInputRows"], batch["durationMs"]["triggerExecution"] / 1000
            self.read = Read(self.read.batches + 1, self.read.rows + rows, self.read.seconds + seconds)
            self.measures.batch_ended(batch["name"], rows, batch["durationMs"])
            get_logger("stream").info(
                "query_progressed",
                query=batch["name"],
                batch_id=batch["batchId"],
                rows=rows,
                seconds=seconds,
            )
