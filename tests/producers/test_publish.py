"""How the publisher takes each kind of transaction error, with a producer that fails on demand."""

from collections import deque

import pytest
from confluent_kafka import KafkaError, KafkaException

from foundation.errors import DependencyUnavailable, FencedError, TransientError
from producers import publish
from producers.chunk import Chunk
from producers.publish import Publisher

CHUNK = Chunk("c1", {"bcb_sgs": [(b"k", b"v")], "ingest.manifests": [(b"m", b"n")]}, rows=1, rejects=0, row_hash="0")
CURSOR = (b"s|r", b"cursor")


def error(code: int = KafkaError._TIMED_OUT, **kinds: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "as asked", **kinds))


RETRIABLE = error(retriable=True)
ABORTABLE = error(txn_requires_abort=True)


class FailingProducer:
    """Records its calls; `failures` holds, per method, what its next calls raise (None: nothing)."""

    failures: dict[str, deque]

    def __init__(self, configuration: dict) -> None:
        self.configuration = configuration
        self.calls: list[str] = []

    def _call(self, name: str, *_: object) -> None:
        self.calls.append(name)
        waiting = self.failures.get(name)
        if waiting and (failure := waiting.popleft()) is not None:
            raise failure

    def __getattr__(self, name: str):
        return lambda *arguments: self._call(name, *arguments)

    def produce_batch(self, topic: str, messages: list) -> int:
        self._call(f"produce {topic}")
        return len(messages)


@pytest.fixture
def publisher(monkeypatch):
    """(failures) → a publisher whose producer fails so."""

    def make(**failures: list) -> tuple[Publisher, list[str]]:
        FailingProducer.failures = {name: deque(found) for name, found in failures.items()}
        monkeypatch.setattr(publish, "Producer", FailingProducer)
        made = Publisher("broker", "p.", "bcb_sgs")
        return made, made._producer.calls

    return make


ONE_CHUNK = [
    "begin_transaction",
    "produce p.bcb_sgs.v1",
    "produce p.ingest.manifests.v1",
    "produce p.ingest.cursors",
    "flush",
    "commit_transaction",
]


def test_one_chunk_is_one_transaction(publisher):
    made, calls = publisher()
    made.publish(CHUNK, CURSOR)
    assert calls == ONE_CHUNK
    assert made._producer.configuration["transactional.id"] == "p.correnteza.bcb_sgs"


def test_a_commit_of_unknown_outcome_is_asked_again_and_nothing_is_sent_again(publisher):
    made, calls = publisher(commit_transaction=[RETRIABLE, RETRIABLE])
    made.publish(CHUNK, CURSOR)
    assert calls == [*ONE_CHUNK, "commit_transaction", "commit_transaction"]


def test_a_chunk_whose_transaction_must_be_aborted_is_sent_again_whole(publisher):
    made, calls = publisher(commit_transaction=[ABORTABLE])
    made.publish(CHUNK, CURSOR)
    assert calls == [*ONE_CHUNK, "abort_transaction", *ONE_CHUNK]


def test_an_abort_is_repeated_while_it_is_retriable(publisher):
    made, calls = publisher(commit_transaction=[ABORTABLE], abort_transaction=[RETRIABLE])
    made.publish(CHUNK, CURSOR)
    assert calls == [*ONE_CHUNK, "abort_transaction", "abort_transaction", *ONE_CHUNK]


def test_a_chunk_is_not_sent_for_ever(publisher):
    made, calls = publisher(commit_transaction=[ABORTABLE] * 10)
    with pytest.raises(TransientError):
        made.publish(CHUNK, CURSOR)
    assert calls.count("begin_transaction") == publish.REDONE + 1


@pytest.mark.parametrize("step", ["begin_transaction", "commit_transaction"])
def test_a_fenced_publisher_stops_without_another_try(publisher, step):
    made, calls = publisher(**{step: [error(KafkaError._FENCED, fatal=True)]})
    with pytest.raises(FencedError) as caught:
        made.publish(CHUNK, CURSOR)
    assert caught.value.exit_code == 75
    assert calls.count("begin_transaction") == 1
    assert "abort_transaction" not in calls


def test_another_fatal_error_ends_the_process_but_is_not_called_fenced(publisher):
    made, _ = publisher(commit_transaction=[error(KafkaError._FATAL, fatal=True)])
    with pytest.raises(DependencyUnavailable) as caught:
        made.publish(CHUNK, CURSOR)
    assert not isinstance(caught.value, FencedError | TransientError)


def test_a_broker_that_is_away_at_the_start_is_a_transient_error(publisher):
    made, calls = publisher(init_transactions=[RETRIABLE] * 5)
    with pytest.raises(TransientError):
        made.start()
    assert calls == ["init_transactions"] * 2


def test_a_cursor_alone_is_a_transaction_too_and_is_sent_again_like_a_chunk(publisher):
    made, calls = publisher(commit_transaction=[ABORTABLE])
    made.remember(CURSOR)
    alone = ["begin_transaction", "produce p.ingest.cursors", "flush", "commit_transaction"]
    assert calls == [*alone, "abort_transaction", *alone]
