"""The parts whose newest edition rejected rows are those that are worth parsing again."""

from datetime import datetime, timedelta

from monitoring.lake import Lake
from monitoring.reading.rejects import with_rejects
from tests.monitoring.kit import BEGIN, Kit, hour


def test_parts_with_rejects_by_their_newest_edition(tmp_path):
    kit = Kit(tmp_path)
    for part, editions in {"mended": (2, 0), "broken": (0, 1), "whole": (0,)}.items():
        for number, rejects in enumerate(editions, 1):
            kit.publish("inmet_hourly", hour(BEGIN), rejects=rejects, resource="2024", part_key=part, edition=number)
    old = BEGIN - timedelta(days=9)
    kit.publish("inmet_hourly", rejects=1, resource="2023", part_key="old", edition=1, kafka_at=old)
    kit.publish("bcb_sgs", rejects=1, resource="433", part_key="other source", edition=1)
    kit.write_bronze("ingest.manifests", kit.bronze["ingest.manifests"])
    lake = Lake(kit.lake)
    assert with_rejects(lake, "inmet_hourly", None) == [("2023", "old"), ("2024", "broken")]
    assert with_rejects(lake, "inmet_hourly", datetime(BEGIN.year, BEGIN.month, BEGIN.day)) == [("2024", "broken")]


def test_a_lake_without_manifests_has_none(tmp_path):
    assert with_rejects(Lake(tmp_path), "inmet_hourly", None) == []
