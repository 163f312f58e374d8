"""ANATEL's mobile accesses and base stations, polled from the replay over three days into the real broker."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from producers import poll, sources
from producers.model import Source, Span
from replay.server import serve
from tests import oracles

pytestmark = pytest.mark.integration

MOBILE, STATIONS = sources.load("anatel_mobile_accesses"), sources.load("anatel_base_stations")
NOW = datetime(2025, 11, 13, 6, 30, tzinfo=UTC)


def polled(source: Source, target: poll.Services, span: Span) -> list[int]:
    """Rows published on each day."""
    rows = []
    with serve(day=1) as replay:
        for day in (1, 2, 3):
            replay.set_day(day)
            outcome = poll.poll(source, target, now=lambda: NOW, base_url=f"{replay.url}/anatel", span=span)
            assert outcome.error is None
            rows.append(outcome.tally.rows)
    return rows


def fields(target: poll.Services, dataset: str) -> list[dict]:
    return [record.fields for record in oracles.read(target.bootstrap, target.prefix, dataset)]


def test_of_mobile_accesses_only_the_members_that_changed_are_published_again(target):
    """On day 2 one was corrected; on day 3 June 2022 moved from one to another, and a group was renamed."""
    assert polled(MOBILE, target, Span(MOBILE.history_start)) == [131, 29, 53]
    rows = fields(target, MOBILE.name)
    parts = Counter(manifest["part"] for manifest in fields(target, "ingest.manifests"))
    assert parts == {
        "Acessos_Telefonia_Movel_201901-201906_Colunas.csv": 1,
        "Acessos_Telefonia_Movel_201907-201912_Colunas.csv": 1,
        "Acessos_Telefonia_Movel_202101-202106_Colunas.csv": 1,
        "Acessos_Telefonia_Movel_202201-202206_Colunas.csv": 1,
        "Acessos_Telefonia_Movel_202207-202212.csv": 2,
        "Acessos_Telefonia_Movel_202201-202205_Colunas.csv": 1,
        "Acessos_Telefonia_Movel_202206-202212.csv": 1,
    }
    december = [row for row in rows if row["reference_month_on"] == date(2022, 12, 1) and row["product_type"] == "M2M"]
    assert Counter((row["accesses"], row["published_at_basis"]) for row in december) == {
        (4498, "assumed_lag"): 1,
        (4512, "http_last_modified"): 2,
    }
    withdrawn = Counter(each["key_fields"]["economic_group"] for each in fields(target, "ingest.withdrawals"))
    assert withdrawn == {"TELECOM AMERICAS": 29}
    assert oracles.problems(target.bootstrap, target.prefix, MOBILE.datasets) == []


def test_a_backfill_of_the_days_before_2021_publishes_what_the_live_schedule_leaves(target):
    assert polled(MOBILE, target, Span(date(2019, 1, 1), date(2020, 12, 31))) == [48, 0, 0]
    assert polled(MOBILE, target, Span(date(2021, 1, 1))) == [83, 29, 53]


def test_a_snapshot_of_stations_is_dated_by_its_file_and_every_attribute_arrives(target):
    assert polled(STATIONS, target, Span(STATIONS.history_start)) == [700, 766, 0]
    rows = fields(target, STATIONS.name)
    assert Counter((row["published_at"], row["published_at_basis"]) for row in rows) == {
        (datetime(2025, 10, 21, 10, 56, 40, tzinfo=UTC), "http_last_modified"): 700,
        (datetime(2025, 11, 11, 10, 41, 2, tzinfo=UTC), "http_last_modified"): 766,
    }
    assert len({row["license_row_id"] for row in rows}) == 766
    assert {len(row["attributes"]) for row in rows} == {23}
    assert oracles.problems(target.bootstrap, target.prefix, STATIONS.datasets) == []
