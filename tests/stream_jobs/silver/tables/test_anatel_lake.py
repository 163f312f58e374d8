"""ANATEL's mobile accesses and base stations from the replay into silver, through real Kafka, Spark and Delta."""

from datetime import UTC, date, datetime

import pytest

from producers import poll, sources
from replay.server import serve
from tests.records import PUBLISHED

pytestmark = pytest.mark.integration

MOBILE, STATIONS = "anatel_mobile_accesses", "anatel_base_stations"
RECEIPTS = ("ingest.manifests", "ingest.rejects")
NOW = datetime(2025, 11, 13, 6, 30, tzinfo=UTC)


def bring(pipeline, dataset: str) -> None:
    """Poll the replay's first two days, then bring what they published into bronze and silver."""
    pipeline.declare(dataset, *RECEIPTS, "ingest.cursors")
    home = pipeline.settings
    target = poll.Services(home.bootstrap, home.registry, home.topic_prefix, home.archive_root)
    with serve(day=1) as replay:
        for day in (1, 2):
            replay.set_day(day)
            outcome = poll.poll(sources.load(dataset), target, now=lambda: NOW, base_url=f"{replay.url}/anatel")
            assert outcome.error is None
    pipeline.run(*(pipeline.bronze(name) for name in (dataset, *RECEIPTS)))
    pipeline.run(pipeline.silver(dataset))


def test_a_corrected_month_has_two_versions_and_the_newer_stands(pipeline):
    bring(pipeline, MOBILE)
    december = {"reference_month_on": date(2022, 12, 1), "product_type": "M2M"}

    def accesses(table: str) -> list[int]:
        rows = [row for row in pipeline.rows(table) if december.items() <= row.items()]
        return [row["accesses"] for row in sorted(rows, key=lambda row: row["known_from"])]

    assert len(pipeline.rows(f"silver.{MOBILE}")) == 131
    assert accesses(f"silver.{MOBILE}_revisions") == [4498, 4512]
    assert accesses(f"silver.{MOBILE}") == [4512]
    assert pipeline.rows("silver.quarantine") == []
    assert pipeline.contradictions(MOBILE, *RECEIPTS) == {}


def test_of_two_rows_with_one_key_the_different_one_is_set_aside_and_none_is_lost_unseen(pipeline):
    """As the source's module says: the parser keeps both, and no sum is guessed."""
    row = {"reference_month_on": date(2022, 12, 1), "cnpj": "40432544000147", "municipality_code": "3547809"}
    rows = [row | {"published_at": PUBLISHED, "accesses": accesses} for accesses in (7, 5, 7)]
    pipeline.run(pipeline.bronze_after(MOBILE, rows))
    pipeline.run(pipeline.silver(MOBILE))
    assert [row["accesses"] for row in pipeline.rows(f"silver.{MOBILE}")] == [7]
    assert [row["rules"] for row in pipeline.rows("silver.quarantine")] == [["conflicting_version"]]


def test_a_second_snapshot_adds_the_new_carriers_and_no_version_of_the_old_ones(pipeline):
    bring(pipeline, STATIONS)
    rows = pipeline.rows(f"silver.{STATIONS}")
    assert len(rows) == len({row["license_row_id"] for row in rows}) == 766
    assert len({row["station_number"] for row in rows}) == 209
    assert len(pipeline.rows(f"silver.{STATIONS}_revisions")) == 766
    assert {dict(row["attributes"])["NumServico"] for row in rows} == {"010"}
    assert pipeline.rows("silver.quarantine") == []
    assert pipeline.contradictions(STATIONS, *RECEIPTS) == {}
