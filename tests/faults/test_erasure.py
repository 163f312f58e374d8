"""S29: a planted key leaves gold, silver, bronze, the archive and what Kafka can delete; nothing brings it back.

The lake takes minutes to fill, so each test does all that needs one, and goes back to a copy of it in between.
"""

import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest

from correnteza.erasing import archive, run
from correnteza.erasing.key import key_of
from correnteza.erasing.preconditions import exclusive_lock, require_all_read
from correnteza.erasing.run import Erase
from correnteza.payload_check import payload_check
from monitoring.lag.kafka import Cluster
from monitoring.proof.verify import Subject, verify
from schemas.contracts import load
from sinks.ops import erasures
from storage import files
from storage.location import Remote
from stream_jobs.gold import reference
from tests import byte_search
from tests.erased_lake import (
    CANARY,
    CONTRACTS,
    EDITIONS,
    KEY,
    OTHERS,
    STATIC,
    STATIONS,
    jobs,
    member,
    planted,
    publish,
    served,
)
from tests.pipeline import pipeline
from tests.spark_fixtures import spark
from tests.stream_jobs.test_rebuild_bronze_from_archive import expire, rebuilt

__all__ = ["pipeline", "planted", "served", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(3600)]

ONE = key_of(STATIONS, dict([KEY.split("=")]))
BYTES = CANARY.encode()
BRONZE, SILVER, GOLD = f"bronze.{STATIONS}", f"silver.{STATIONS}", "gold.fact_base_stations"
OF_BRONZE = ("bronze.ingest_withdrawals", "bronze.ingest_rejects", BRONZE)
NOTHING = "nothing to erase: the key stands in no table and in no payload"
IN_SINKS = ("erase_file_rewritten", "erase_file_removed", "erase_log_rewritten")
POINTS = (
    "erase_noted",
    "erase_recorded",
    "erase_archived",
    "erase_file_rewritten@2",
    "erase_silver",
    "erase_gold",
    "erase_bronze",
    "erase_file_removed",
    "erase_file_removed@2",
    "erase_log_rewritten",
    "erase_purged",
)
"""In their order, so that each killed erasure comes to the next point."""


def erase(pipeline: Any, *, cut_off: bool = False) -> list[str]:
    """Erase as the command does after its confirmation. Returns: its output."""
    lines: list[str] = []
    with exclusive_lock(pipeline.places, ONE):
        require_all_read(pipeline.settings, ONE)
        one = Erase(pipeline.settings, ONE, pipeline.spark.newSession)
        plan = one.plan()
        if not plan.is_empty or one.state() is not None:
            one.carry_out(one.begin("request 17"), plan.payloads, cut_off=cut_off, say=lines.append)
    return lines


def found(pipeline: Any) -> list[str]:
    """The oracle: where the key's bytes stand, below the home and in a store."""
    settings, there = pipeline.settings, byte_search.in_files(pipeline.settings.home, BYTES)
    for name, place in (("lake", settings.lake_root), ("archive", settings.archive_root)):
        if isinstance(place, Remote):
            there += [f"{name}/{each}" for each in byte_search.in_objects(place, BYTES)]
    return there


def in_kafka(pipeline: Any) -> dict[str, list[int]]:
    return byte_search.in_topics(pipeline.broker.bootstrap, pipeline.broker.prefix, BYTES)


def contradictions(pipeline: Any) -> list[str]:
    """The oracle: the findings of `verify --full`, of payloads too."""
    home = pipeline.settings
    subject = Subject(home.lake_root, home.checkpoints, reference.FOLDER, home.topic_prefix, {})
    report = verify(
        subject,
        Cluster(home.bootstrap),
        {name: load(name) for name in CONTRACTS},
        since=None,
        more={"payload = published + rejected": payload_check(home.archive_root)},
    )
    return [
        f"{each.check}: {one.where}: {one.what} {one.examples}"
        for each in report.verdicts
        for one in each.outcome.findings
        if each.check not in STATIC
    ]


@pytest.fixture
def again(planted, tmp_path) -> Callable[[], None]:
    """Brings the planted home back."""
    settings, home = planted.settings, planted.settings.home
    shutil.copytree(home, tmp_path / "copy")
    stored = {
        place: byte_search.objects(place)
        for place in (settings.lake_root, settings.archive_root)
        if isinstance(place, Remote)
    }

    def restore() -> None:
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "copy", home)
        for place, objects in stored.items():
            files.remove_tree(place)
            for name, content in objects.items():
                files.write(place / name, content)

    return restore


def require_erased(pipeline: Any) -> None:
    """No byte is left, and every row of every other key is."""
    assert found(pipeline) == []
    assert contradictions(pipeline) == []
    assert len(pipeline.rows(BRONZE)) == len(EDITIONS) * OTHERS
    for table in (SILVER, GOLD):
        assert len(pipeline.rows(table)) == OTHERS
    assert pipeline.rows("silver.quarantine") == []
    assert not (pipeline.settings.home / "erase").exists()


def test_s29_a_planted_key_is_erased_from_every_layer_and_its_control(planted, again, monkeypatch, control):
    planted_in = found(planted)
    for layer in ("archive/", "bronze/anatel", "bronze/ingest_rejects", "bronze/ingest_withdrawals", "silver/anatel",
                  "silver/quarantine", "gold/fact_base_stations", "_delta_log"):  # fmt: skip
        assert [each for each in planted_in if layer in each], f"the key was not planted in {layer}"
    before = in_kafka(planted)
    assert {topic: len(places) for topic, places in before.items()} == {
        f"{STATIONS}.v1": 4,
        "ingest.rejects.v1": 1,
        "ingest.withdrawals.v1": 1,
    }

    said = erase(planted)
    require_erased(planted)
    control.holds(found, planted)
    control.holds(contradictions, planted)
    assert in_kafka(planted) == before, "Kafka keeps it until its retention"
    assert sum("stay in Kafka until" in line for line in said) >= 3
    told = str(planted.rows(erasures.NAME))
    assert CANARY not in told
    assert "request 17" in told
    assert erase(planted) == [], "there is nothing left to do"

    again()
    with monkeypatch.context() as patch:
        patch.setattr(run, "purge", lambda path, names: 0)
        erase(planted)
    control.objects(found, planted, damage=(".parquet holds the text", "_delta_log/"))
    again()
    with monkeypatch.context() as patch:
        patch.setattr(archive.Payloads, "take_out", lambda self, found, under_way: None)
        erase(planted)
    control.objects(found, planted, damage="archive/sha256/")
    again()
    with monkeypatch.context() as patch:
        patch.setattr(erasures, "declare", lambda path, records: 0)
        erase(planted)
    control.objects(
        contradictions, planted, damage=("committed records are not in bronze", "than their manifest counts")
    )

    again()
    erase(planted, cut_off=True)
    require_erased(planted)
    assert in_kafka(planted) == {}, "no reader is given it any more"


def test_s29_neither_a_rebuild_from_kafka_nor_one_from_the_archive_nor_an_old_payload_brings_it_back(
    planted, httpserver, served
):
    erase(planted)
    lines = rebuilt(planted, *OF_BRONZE, SILVER, GOLD, origin="kafka")
    assert f"{BRONZE}: {len(EDITIONS) * OTHERS} rows, the same as in the live table" in lines
    require_erased(planted)

    expire(planted, STATIONS, "ingest.withdrawals", "ingest.rejects")
    for table in OF_BRONZE:
        files.remove_tree(planted.places.table(table))
    lines = rebuilt(planted, *OF_BRONZE, SILVER, GOLD, origin="archive")  # a new table has another id
    assert f"{BRONZE}: 18 rows that Kafka no longer holds were recovered from the payload archive" in lines
    require_erased(planted)

    # The next edition lacks another row, which the comparison with an erased payload finds; then the first comes again.
    lines_of = member(height=34).split(b"\n")
    publish(planted, httpserver, served, b"\n".join([*lines_of[:1], *lines_of[2:]]), 10)
    planted.run(*jobs(planted))
    assert len(planted.rows(SILVER)) == len(planted.rows(GOLD)) == OTHERS - 1
    publish(planted, httpserver, served, EDITIONS[0], 11)
    planted.run(*jobs(planted))
    planted.driver.locks.release()
    assert len(planted.rows(SILVER)) == len(planted.rows(GOLD)) == OTHERS
    assert found(planted) == []
    assert contradictions(planted) == []


def test_s29_control_without_the_noted_places_a_rebuild_from_kafka_brings_the_key_back(planted, control):
    erase(planted)
    control.holds(found, planted)
    files.remove_tree(planted.places.table(erasures.NAME))
    rebuilt(planted, BRONZE, accept=True, origin="kafka")
    control.objects(found, planted, damage="lake/bronze/anatel_base_stations/")


def test_s29_an_erasure_that_is_killed_at_each_of_its_points_is_ended_by_the_next_one(planted, cli, cli_process):
    dry = cli("erase", STATIONS, KEY, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"{SILVER}_revisions: 3 rows in 2 files" in dry.stdout
    assert CANARY not in dry.stdout + dry.stderr
    for point in POINTS:
        killed = cli_process(
            "erase", STATIONS, KEY, "--note", "request 17", "--yes", CORRENTEZA_FAILPOINT=f"{point}:kill"
        )
        assert killed.wait() == -signal.SIGKILL, f"{point}: {killed.said}"
    other = cli("erase", STATIONS, "license_row_id=another", "--note", "request 18", "--yes")
    assert (other.returncode, "an erasure of another key" in other.stderr) == (3, True), other.stderr
    ended = cli_process("erase", STATIONS, KEY, "--note", "request 17", "--yes")
    assert ended.wait() == 0, ended.said
    assert CANARY not in ended.said
    require_erased(planted)
    again = cli("erase", STATIONS, KEY, "--note", "request 17", "--yes")
    assert (again.returncode, again.stdout.strip()) == (0, NOTHING)
    audited = (planted.settings.home / "audit.jsonl").read_text()
    assert audited.count('"verb": "erase"') == len(POINTS) + 1
    assert CANARY not in audited
    assert "scrypt" in audited
