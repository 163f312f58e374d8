"""Streams over tables that are maintained beside them: no row twice, none less, wherever they stand in a table."""

from decimal import Decimal

from deltalake import DeltaTable

from sinks import compaction, tables
from sinks.commit import in_place
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.tables.fact_economic_observation import TABLE
from stream_jobs.running import inputs, maintained_tables
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.maintainer import Maintainer
from stream_jobs.running.readers import Readers
from stream_jobs.silver import job as silver
from tests.controls import counted
from tests.pipeline import Pipeline, astray
from tests.sinks.delta_tables import age, log_versions
from tests.stream_jobs.running.months import (
    BRONZE,
    DATASET,
    EAGER,
    SILVER,
    compacted,
    once_each,
    published,
    stopped_after,
    value,
)

REVISIONS, GOLD = f"{SILVER}_revisions", f"gold.{TABLE.name}"


def months(pipeline: Pipeline, table: str) -> list[int]:
    return [row["reference_on"].month for row in pipeline.rows(table)]


def test_f26_control_silver_reads_each_row_of_a_compacted_bronze_once(pipeline, read, monkeypatch, control):
    published(pipeline, 1, 2)
    pipeline.run(pipeline.silver(DATASET))
    published(pipeline, 3, 4)
    # What a table of an older release gets when its query starts.
    DeltaTable(pipeline.places.table(BRONZE)).alter.set_table_properties({"delta.enableExpiredLogCleanup": "false"})
    compacted(pipeline.places.table(BRONZE))  # what was read and what was not in one file
    published(pipeline, 5)
    pipeline.run(pipeline.silver(DATASET))
    control.holds(once_each, read, [1, 2, 3, 4, 5])
    assert sorted(months(pipeline, REVISIONS)) == [1, 2, 3, 4, 5]

    assert not pipeline.silver(DATASET).has_unread()
    published(pipeline, 6)
    monkeypatch.setattr(compaction, "in_place", lambda *said, **_: in_place(*said, data_change=True))
    compacted(pipeline.places.table(BRONZE))
    read.clear()
    pipeline.run(pipeline.silver(DATASET))
    control.objects(once_each, read, [6], damage=("month 1 stands 1 times instead of 0", "month 6 stands 2 times"))


def test_f26_a_stream_in_the_midst_of_a_version_or_of_its_first_read_goes_on_after_a_compaction(
    pipeline, read, monkeypatch
):
    """A batch for every file: the stream is stopped after the first of several files of one version. It begins with the
    files of the newest version, since a row has left the table (docs/adr/0039)."""
    monkeypatch.setitem(silver.READING, "maxBytesPerTrigger", "1")
    published(pipeline, 9, 1, 2, 3)
    DeltaTable(pipeline.places.table(BRONZE)).delete("record.reference_on = '2023-09-01'")
    job = pipeline.silver(DATASET)
    stopped_after(pipeline, monkeypatch, job, batches=1)
    assert read == [1]
    identity = tables.identity(pipeline.places.table(BRONZE))
    assert Readers(pipeline.places, inputs.declared()).of(BRONZE, identity)[0].is_snapshot
    assert '"isStartingVersion":true' in "".join(Checkpoint(job.name, pipeline.places.checkpoint(job.name)).finished(0))
    compacted(pipeline.places.table(BRONZE))
    pipeline.run(pipeline.silver(DATASET))
    assert once_each(read, [1, 2, 3]) == []

    months_of_one_version(pipeline, 4, 5, 6)
    read.clear()
    stopped_after(pipeline, monkeypatch, pipeline.silver(DATASET), batches=1)
    assert len(read) == 1
    compacted(pipeline.places.table(BRONZE))
    pipeline.run(pipeline.silver(DATASET))
    assert once_each(read, [4, 5, 6]) == []
    assert sorted(months(pipeline, REVISIONS)) == [1, 2, 3, 4, 5, 6]


def months_of_one_version(pipeline: Pipeline, *numbers: int) -> None:
    """One version of bronze with a file per record."""
    before = pipeline.version(BRONZE)
    pipeline.publish(DATASET, *(value(month) for month in numbers))
    pipeline.spark.conf.set("spark.sql.files.maxRecordsPerFile", 1)
    try:
        pipeline.run(pipeline.bronze(DATASET))
    finally:
        pipeline.spark.conf.unset("spark.sql.files.maxRecordsPerFile")
    assert pipeline.version(BRONZE) == before + 1


def test_f26_gold_reads_compacted_revisions_and_everything_holds_after_maintenance(pipeline, monkeypatch):
    """The driver's own round, on tables that are a month old: verify and the tests' own readers agree afterwards."""
    gold = GoldJob(TABLE, pipeline.driver)
    for months_at_once in ((1, 2), (3,), (4,)):
        published(pipeline, *months_at_once)
        pipeline.run(pipeline.silver(DATASET), gold)
    for table in (BRONZE, REVISIONS, f"silver.{DATASET}", GOLD):
        DeltaTable(pipeline.places.table(table)).create_checkpoint()
    published(pipeline, 5)
    pipeline.run(pipeline.silver(DATASET))  # gold has yet to read it
    before = {table: pipeline.rows(table) for table in (BRONZE, REVISIONS, f"silver.{DATASET}", GOLD)}
    age(pipeline.places.lake, 31)

    jobs = (pipeline.silver(DATASET), gold)
    writers = {BRONZE: None, **{job.name: job.maintenance_lock for job in jobs}}
    monkeypatch.setattr(maintained_tables, "BRONZE", EAGER)
    monkeypatch.setattr(maintained_tables, "OTHERS", EAGER)
    maintained = Maintainer(pipeline.places, writers, every=3600)
    maintained.round()

    for table, rows in before.items():
        assert counted(map(repr, pipeline.rows(table)), map(repr, rows)) == [], table
        assert len(DeltaTable(pipeline.places.table(table)).file_uris()) == 1
        # Gold tables that no driver of this test runs may begin at any moment: they hold the log.
        assert (log_versions(pipeline.places.table(table))[0] > 0) == (table != REVISIONS), table
    ours = {query: names for query, names in inputs.declared().items() if query in {job.name for job in jobs}}
    monkeypatch.setattr(inputs, "declared", lambda: ours)
    maintained.round()
    assert log_versions(pipeline.places.table(REVISIONS))[0] > 0
    pipeline.publish(DATASET, value(1, "0.7", day=20), value(6))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET), GoldJob(TABLE, pipeline.driver))
    assert astray(pipeline, DATASET) == []
    observed = {row["reference_on"].month: row["value"].normalize() for row in pipeline.rows(GOLD)}
    assert observed == {1: Decimal("0.7"), **dict.fromkeys(range(2, 7), Decimal("0.5"))}
