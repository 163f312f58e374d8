"""A row of a training set uses all that was known at its origin, and nothing newer."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.vintages import features_as_of, training_set
from stream_jobs.places import Places
from stream_jobs.silver import asof
from tests.stream_jobs.gold.batch_oracle import content_hash, from_scratch, keyed
from tests.stream_jobs.gold.changes import DAYS, DRAW, change
from tests.stream_jobs.gold.memory_silver import MemorySilver, instant

ORIGINS = tuple(instant("2024-01-20") + timedelta(days=n * 11) for n in range(5))
KEYS = ("date_on", "municipality_code")


def written(silver, folder):
    """The revisions as Delta tables."""
    for dataset, rows in silver.rows.items():
        if rows:
            frame = silver.revisions(dataset)
            write_deltalake(str(folder / "lake" / "silver" / f"{dataset}_revisions"), frame.toArrow())
    return Places(str(folder / "lake"), folder / "checkpoints", folder / "locks")


@pytest.fixture(scope="module")
def published(spark, tmp_path_factory):
    """Weeks of publications of every dataset."""
    silver, rng = MemorySilver(spark), random.Random(11)
    for kind in (*DRAW, "hours", "periods", "reanalysis", "mobile"):
        change(silver, rng, kind)
    return silver, written(silver, tmp_path_factory.mktemp("vintages"))


def by_origin(frame):
    found = {origin: [] for origin in ORIGINS}
    for row in frame.collect():
        values = row.asDict()
        found[values.pop("origin_at").astimezone(UTC)].append(values)
    return found


@pytest.fixture(scope="module")
def found(spark, published):
    """The training set of some weeks, by origin, computed once."""
    _, places = published
    return by_origin(training_set(spark, places, ORIGINS, days=DAYS + 30))


def leaks(rows_of):
    """Rows with values that are newer than their origin."""
    return [row for origin, rows in rows_of.items() for row in rows if row["known_from"].astimezone(UTC) > origin]


def expected_of(silver, origin):
    """By DuckDB, over nothing but what was known then; days up to the origin's."""
    rows = from_scratch("external_factors_daily", silver.as_of(origin))
    last_on = origin.date()
    return {key: row for key, row in rows.items() if last_on - timedelta(days=DAYS + 30) < key[0] <= last_on}


def test_each_origin_has_what_a_computation_from_scratch_over_its_past_gives(published, found):
    silver, _ = published
    sizes = []
    for origin in ORIGINS:
        expected = expected_of(silver, origin)
        assert content_hash(keyed(KEYS, found[origin])) == content_hash(expected)
        sizes.append(len(expected))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_no_input_is_known_after_its_origin(found):
    """Each number equals one computed from what was known by then alone (above); so does its clock."""
    assert leaks(found) == []


def test_control_without_the_guard_the_future_leaks(spark, published, found, monkeypatch, control):
    """Every origin sees every version."""
    silver, places = published
    first = ORIGINS[0]

    def newest_of_all(self, dataset, *, within=(), columns=None, withdrawn=False):
        known = asof._revisions(self.spark, self.snapshots, dataset, within, columns, measured_only=self.measured_only)
        origins = F.explode(F.array(*(F.lit(origin) for origin in self.origins)))
        seen = known.withColumn(asof.VINTAGE, origins)
        return asof.newest_of(seen, dataset, vintage=self.vintage, withdrawn=withdrawn)

    def leaking(rows_of) -> list[str]:
        rows = leaks(rows_of)
        return [f"{len(rows)} rows know more than their origin"] if rows else []

    control.holds(leaking, {first: found[first]})
    monkeypatch.setattr(asof.KnownAtEach, "newest", newest_of_all)
    leaky = by_origin(training_set(spark, places, [first], days=DAYS + 30))
    control.objects(leaking, leaky, damage="rows know more than their origin")
    assert content_hash(keyed(KEYS, leaky[first])) != content_hash(expected_of(silver, first))


def test_one_origin_alone_gives_what_it_gives_among_others(spark, published, found):
    _, places = published
    alone = by_origin(features_as_of(spark, places, ORIGINS[2], days=20))[ORIGINS[2]]
    begin = ORIGINS[2].date() - timedelta(days=20)
    assert keyed(KEYS, alone) == keyed(KEYS, [row for row in found[ORIGINS[2]] if row["date_on"] > begin])
    assert alone


def test_assumed_clocks_can_be_left_out_and_every_row_says_which_it_used(spark, published):
    _, places = published
    rows = by_origin(training_set(spark, places, ORIGINS[-1:], days=DAYS))[ORIGINS[-1]]
    assert "assumed" in {row["known_from_basis"] for row in rows}
    measured = by_origin(training_set(spark, places, ORIGINS[-1:], days=DAYS, measured_only=True))[ORIGINS[-1]]
    assert {row["known_from_basis"] for row in measured} == {"measured"}


def test_octobers_ipca_is_unknown_on_the_tenth_of_november_and_known_on_the_eleventh(spark, tmp_path):
    silver = MemorySilver(spark)
    months = [(date(2024 + n // 12, n % 12 + 1, 1), "0.5") for n in range(10, 21)]
    for month, value in [*months, (date(2025, 10, 1), "0.09")]:
        known = instant("2025-11-11T12") if month.month == 10 else instant(f"{month + timedelta(days=45)}")
        silver.add("bcb_sgs", {"series_code": 433, "reference_on": month, "value": Decimal(value), "known_from": known})
    for n in range(20):
        day = date(2025, 10, 25) + timedelta(days=n)
        known = instant(f"{day}T12")
        silver.add("bcb_sgs", {"series_code": 432, "reference_on": day, "value": Decimal(15), "known_from": known})
    places = written(silver, tmp_path)
    origins = [datetime(2025, 11, day, 23, 59, tzinfo=UTC) for day in (10, 11)]
    rows = training_set(spark, places, origins, days=1, municipality_codes=["2927408"]).collect()
    found = {row.origin_at.astimezone(UTC).day: (row.ipca_reference_on, row.ipca_monthly_percent) for row in rows}
    assert found == {10: (date(2025, 9, 1), Decimal("0.5")), 11: (date(2025, 10, 1), Decimal("0.09"))}


def test_nonsense_is_refused(spark, published):
    _, places = published
    with pytest.raises(ValueError, match="time zone"):
        training_set(spark, places, [datetime(2024, 1, 1)])
    with pytest.raises(ValueError, match="at least one day"):
        training_set(spark, places, ORIGINS, days=0)
    with pytest.raises(ValueError, match="needs an origin"):
        training_set(spark, places, [])


def test_a_batch_reads_every_dataset_at_one_version(spark, published):
    """However often it reads, and whatever is committed meanwhile; the next batch sees the new rows."""
    _, places = published
    batches = [asof.Known(spark, asof.Snapshots(places)) for _ in range(2)]
    before = batches[0].versions("bcb_sgs", columns=["value"]).count()
    path = places.table("silver.bcb_sgs_revisions")
    write_deltalake(path, DeltaTable(path).to_pyarrow_table().slice(0, 1), mode="append")
    found = [batch.versions("bcb_sgs", columns=["value"]).count() for batch in batches]
    assert found == [before, before + 1]


def test_what_was_counted_is_kept_until_its_table_changes(spark, published, monkeypatch):
    """A changed hour must not count all accesses again; changed accesses must."""
    _, places = published
    cache, counted = asof.FrameCache(), []

    def rows(dataset="anatel_mobile_accesses", of=None):
        """What one batch counts."""
        known = asof.Known(spark, asof.Snapshots(places), cache=cache)

        def build():
            counted.append(1)
            return known.newest("anatel_mobile_accesses").select("accesses")

        return known.cached(dataset, [dataset], build, of=of).count()

    before = rows()
    assert (rows(), len(counted)) == (before, 1)
    assert (rows(of=2025), len(counted)) == (before, 2), "another part of the dataset is another frame"
    assert (rows(), len(counted)) == (before, 3), "of one name there is one frame"
    (newest,) = asof.Known(spark, asof.Snapshots(places)).newest("anatel_mobile_accesses").limit(1).collect()
    silver = MemorySilver(spark)
    silver.add("anatel_mobile_accesses", newest.asDict() | {"cnpj": "9" * 14})
    path = places.table("silver.anatel_mobile_accesses_revisions")
    write_deltalake(path, silver.revisions("anatel_mobile_accesses").toArrow(), mode="append")
    assert (rows(), len(counted)) == (before + 1, 4)
    assert rows("bcb_focus") == before + 1, "a dataset without a table has no version"
