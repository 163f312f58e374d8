"""Stop queries at batch boundaries, within bounded time."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException

from foundation.errors import CorrentezaError
from foundation.log import get_logger
from stream_jobs.running.background import in_background
from stream_jobs.running.supervised import Supervised

ERROR_STOP_SECONDS = 3.0
"""How long batches may take to end after an error: the error must be reported soon, and repeating a batch costs
little."""
END_SECONDS = 2.0
"""How long to wait until Spark has ended a query; during a batch that may never happen."""

log = get_logger("supervisor")


@contextmanager
def stopped_after(supervised: Sequence[Supervised], seconds: float) -> Iterator[None]:
    """Stop all queries at the end; after an error, batches get little time to end."""
    patience = ERROR_STOP_SECONDS
    try:
        yield
        patience = seconds
    except Py4JError as error:
        raise CorrentezaError(f"the JVM is gone: {error}", hint="see the log; then restart the driver") from error
    finally:
        _stop(supervised, time.monotonic() + patience)


def _stop(supervised: Sequence[Supervised], deadline: float) -> None:
    """Stop each query as soon as its batch has ended; at the deadline, stop the others during their batches."""
    left, ending = list(supervised), list[tuple[Supervised, Future[None]]]()
    while left:
        late = time.monotonic() >= deadline
        for each in list(left):
            try:
                if not (late or each.idle):
                    continue
            except Py4JError as error:
                log.warning("query_not_stopped", query=each.job.name, error=str(error))
            else:
                ending.append((each, in_background(each.end)))
            left.remove(each)
        time.sleep(0.05 if left else 0.0)
    last = time.monotonic() + END_SECONDS
    for each, end in ending:
        try:
            end.result(max(0.0, last - time.monotonic()))
        except TimeoutError:
            each.abandoned = True
            log.warning("batch_abandoned", query=each.job.name)
        except (Py4JError, StreamingQueryException) as error:
            log.warning("query_not_stopped", query=each.job.name, error=str(error))
