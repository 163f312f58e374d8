"""Dead letters are redriven exactly once, whichever process is killed, and `verify` accounts for each of them."""

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import fastavro
import pytest
from deltalake import DeltaTable

from producers.redrive import Closer, DeadLetter
from schemas.contracts import load
from sinks.expectations import Expectation
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables import model
from tests.helpers import wait_at_gate
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

DATASET = "inmet_stations"
REDRIVES = "ingest.redrives"
BRONZE, SILVER = f"bronze.{DATASET}", f"silver.{DATASET}_revisions"
UNKNOWN = 2_000_000_000
"""A schema id that no registry of a test assigns."""


def station(number: int, **fields: Any) -> dict[str, Any]:
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1), "chunk_id": f"c{number}", **fields}


def under(schema_id: int, record: dict[str, Any]) -> tuple[bytes, bytes]:
    """A message under an id that is not the contract's."""
    contract = load(DATASET)
    whole = {"published_at": None, "published_at_basis": "none", "retrieved_at": 0, "row_number": 0, **record}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(contract.schema), whole)
    return f"{record['station_code']}|2024-01-01".encode(), b"\0" + struct.pack(">I", schema_id) + body.getvalue()


def know(pipeline: Pipeline, schema_id: int) -> None:
    """What the driver does when the registry knows an id: store its text."""
    pipeline.bronze(DATASET)._known_schemas.fetch(schema_id)


class RegistryWithOneMoreId:
    """A registry that knows one more id."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._registry = pipeline.registry
        self.knows = False

    def versions(self, subject: str) -> list[tuple[int, int, str]]:
        found = self._registry.versions(subject)
        more = (
            [(UNKNOWN, 99, load(DATASET).schema_text)] if self.knows and subject.endswith("stations.v1-value") else []
        )
        return found + more

    def schema_by_id(self, schema_id: int) -> str | None:
        return None if schema_id == UNKNOWN else self._registry.schema_by_id(schema_id)


@pytest.fixture
def unknown(pipeline, monkeypatch) -> Callable[[], None]:
    """Bronze has a record with an unknown id; the call makes the id known to the registry."""
    monkeypatch.setattr("stream_jobs.bronze.known_schemas.GRACE_SECONDS", 0.0)
    pipeline.declare(DATASET, REDRIVES)
    pipeline.publish(DATASET, station(0))
    pipeline.send(DATASET, [under(UNKNOWN, station(1))])
    answers = RegistryWithOneMoreId(pipeline)
    bring_on(pipeline, answers)
    assert sorted(row["decode_status"] for row in pipeline.rows(BRONZE)) == ["ok", "unknown_schema"]

    def learn() -> None:
        answers.knows = True
        bring_on(pipeline, answers)

    learn.answers = answers  # type: ignore[attr-defined]
    return learn


def bring_on(pipeline: Pipeline, registry: Any = None) -> None:
    """Bronze and silver read everything."""
    jobs = [pipeline.bronze(DATASET, registry=registry), pipeline.bronze(REDRIVES), pipeline.silver(DATASET)]
    pipeline.run(*jobs)


def letters(here, *options: str) -> list[dict[str, Any]]:
    done = here("dead-letters", "list", "--json", *options)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def codes(pipeline: Pipeline) -> list[str]:
    return sorted(row["station_code"] for row in pipeline.rows(SILVER))


def contradictions(pipeline: Pipeline) -> dict[str, list[str]]:
    """The records are the test's own and have no manifests."""
    return pipeline.contradictions(DATASET, REDRIVES, without=("manifests = rows", "payload = published + rejected"))


def findings(pipeline: Pipeline) -> list[str]:
    """The same findings as texts of an oracle."""
    return [f"{check}: {each}" for check, found in contradictions(pipeline).items() for each in found]


def test_a_record_that_came_before_its_schema_is_listed_and_redriven_once(pipeline, here, unknown):
    [letter] = letters(here)
    assert (letter["state"], letter["reason"]) == ("open", "unknown_schema")
    early = here("dead-letters", "redrive", letter["entry"])
    assert early.returncode == 0, early.stderr
    assert "the driver knows no schema id" in early.stdout
    assert codes(pipeline) == ["A000"]

    unknown()
    done = here("dead-letters", "redrive", "--all")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 redriven\n")
    bring_on(pipeline, unknown.answers)

    assert codes(pipeline) == ["A000", "A001"]
    assert letters(here) == []
    [closed] = letters(here, "--all")
    assert closed["state"] == "redriven"
    assert closed["copy"] in {f"{row['topic']}/{row['partition']}/{row['offset']}" for row in pipeline.rows(BRONZE)}
    assert here("dead-letters", "redrive", letter["entry"]).returncode == 2, "it is closed"
    assert contradictions(pipeline) == {}


@pytest.fixture
def strict(pipeline) -> None:
    """Silver has quarantined a row under a rule that is then removed."""
    rule = Expectation("no_a001", "station_code <> 'A001'", "quarantine")
    table = replace(model.discover()[DATASET], expectations=(rule,))
    pipeline.declare(DATASET, REDRIVES)
    pipeline.publish(DATASET, station(0), station(1))
    pipeline.run(pipeline.bronze(DATASET), pipeline.bronze(REDRIVES), SilverJob(table, pipeline.driver))
    assert [row["rules"] for row in pipeline.rows("silver.quarantine")] == [["no_a001"]]
    assert codes(pipeline) == ["A000"]


def test_a_quarantined_row_is_redriven_once_its_rule_is_relaxed(pipeline, here, strict):
    [letter] = letters(here)
    assert letter["reason"] == "no_a001"
    done = here("dead-letters", "redrive", "--reason", "no_a001")
    assert done.returncode == 0, done.stderr
    bring_on(pipeline)
    assert codes(pipeline) == ["A000", "A001"]
    assert contradictions(pipeline) == {}


def test_a_dead_letter_is_discarded_with_a_note_and_verify_counts_it(pipeline, here, unknown):
    [letter] = letters(here)
    assert here("dead-letters", "discard", letter["entry"], "--note", "a test").returncode == 2, "no terminal to ask on"
    done = here("dead-letters", "discard", letter["entry"], "--note", "a test", "--yes")
    assert done.returncode == 0, done.stderr
    bring_on(pipeline, unknown.answers)
    assert letters(here) == []
    [closed] = letters(here, "--all")
    assert (closed["state"], closed["note"], closed["copy"]) == ("discarded", "a test", None)
    assert contradictions(pipeline) == {}


@pytest.mark.slow
@pytest.mark.parametrize("point", ["redrive_before_commit", "redrive_after_commit"])
def test_f2_a_redrive_that_is_killed_and_repeated_publishes_each_record_once(pipeline, cli, unknown, point):
    unknown()
    assert cli("dead-letters", "redrive", "--all", CORRENTEZA_FAILPOINT=f"{point}:kill").returncode == -9
    again = cli("dead-letters", "redrive", "--all")
    assert again.returncode == 0, again.stderr
    assert ("1 closed before" in again.stdout) == (point == "redrive_after_commit")
    bring_on(pipeline, unknown.answers)
    assert codes(pipeline) == ["A000", "A001"]
    assert len(pipeline.rows(BRONZE)) == 3
    assert contradictions(pipeline) == {}


@pytest.mark.slow
def test_f2_control_a_redrive_that_does_not_read_what_is_closed_publishes_twice_and_verify_says_so(
    pipeline, unknown, monkeypatch, control
):
    unknown()
    [row] = [row for row in pipeline.rows(BRONZE) if row["decode_status"] == "unknown_schema"]
    letter = DeadLetter(row["topic_id"], row["partition"], row["offset"], "unknown_schema", row["key"], row["value"])

    def redrive() -> bool:
        """Whether a copy was published."""
        closer = Closer(pipeline.broker.bootstrap, pipeline.broker.prefix, pipeline.registry, DATASET)
        [done] = closer.close([letter], "redriven")
        bring_on(pipeline, unknown.answers)
        return done.is_news

    assert (redrive(), redrive()) == (True, False)
    control.holds(findings, pipeline)
    monkeypatch.setattr(Closer, "_closed_before", lambda self: set())
    assert redrive()
    control.objects(findings, pipeline, damage=("closed more than once", "rows of a chunk"))


@pytest.mark.slow
def test_f3_of_two_redrives_the_older_is_fenced_and_nothing_of_it_is_visible(
    pipeline, cli, cli_process, unknown, tmp_path
):
    unknown()
    gate = tmp_path / "gate"
    older = cli_process("dead-letters", "redrive", "--all", CORRENTEZA_FAILPOINT=f"redrive_before_commit:wait={gate}")
    wait_at_gate(gate, older, "the first redrive is about to commit")
    assert cli("dead-letters", "redrive", "--all").returncode == 0
    gate.touch()
    assert older.wait() == 75, older.said
    bring_on(pipeline, unknown.answers)
    assert len(pipeline.rows(BRONZE)) == 3
    assert contradictions(pipeline) == {}


@pytest.mark.slow
def test_control_without_its_closing_record_a_redriven_row_stands_twice(pipeline, cli, strict, control):
    """O9: the copy of a decoded row counts as a duplicate unless there is a closing record for it."""
    assert cli("dead-letters", "redrive", "--all").returncode == 0
    bring_on(pipeline)
    control.holds(findings, pipeline)
    DeltaTable(pipeline.places.table("bronze.ingest_redrives")).delete()
    damage = ("nothing twice in bronze: ", "rows of a chunk", "bronze = topic: ", "silver = batch(bronze): ")
    control.objects(findings, pipeline, damage=damage)
