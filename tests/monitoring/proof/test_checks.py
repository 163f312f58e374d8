"""Every check holds on a correct lake, and fails and names the damage on a damaged one."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from monitoring.proof.checks import decoding, doubles, files, gold, manifests, offsets, silver
from tests.monitoring.kit import BEGIN, accesses, at, found, hour, value


def checks_of(kit, layer):
    """Check name → function, of one layer or of all."""
    layers = {
        "bronze": {
            "files": files.check,
            "manifests": manifests.check,
            "offsets": lambda evidence: offsets.check(evidence, kit.cluster),
            "decoding": lambda evidence: decoding.check(evidence, kit.cluster),
            "doubles": doubles.check,
        },
        "silver": {"keys": silver.check_keys, "silver": silver.check_batch},
        "gold": gold.checks(),
    }
    return layers[layer] if layer else layers["bronze"] | layers["silver"] | layers["gold"]


def failing(kit, layer=None, **options):
    """Check name → findings, of the checks that fail."""
    evidence = kit.evidence(**options)
    found = {name: check(evidence).findings for name, check in checks_of(kit, layer).items()}
    return {name: findings for name, findings in found.items() if findings}


def text(findings):
    return " / ".join(f"{each.where}: {each.what} {list(each.examples)}" for each in findings)


def test_every_check_holds_on_a_right_lake_and_has_looked_at_rows(kit):
    evidence = kit.evidence()
    for name, check in checks_of(kit, None).items():
        outcome = check(evidence)
        assert (name, outcome.findings, outcome.notes) == (name, [], [])
        assert outcome.rows > 0, name


def test_every_check_holds_over_a_window_that_cuts_the_records(kit):
    """Only the correction of the first hour and its day lie inside."""
    assert failing(kit, since=BEGIN + timedelta(minutes=30)) == {}
    assert silver.check_batch(kit.evidence(since=BEGIN + timedelta(minutes=30))).rows == 2


def equal(names, left, right):
    """As DuckDB's USING compares: null equals nothing."""
    return " AND ".join(f'{left}."{name}" = {right}."{name}"' for name in names)


def test_control_over_a_window_a_key_with_a_null_in_it_is_compared_like_any_other(kit, monkeypatch, control):
    """Keys of mobile accesses and of the survey have fields without a value."""

    def current_over_a_window():
        return found(silver.check_keys, kit.evidence(since=BEGIN))

    control.holds(current_over_a_window)
    monkeypatch.setattr(silver, "same", equal)
    damage = ("silver.bcb_focus: ", "silver.anatel_mobile_accesses: ")
    control.objects(current_over_a_window, damage=damage)


def test_other_folders_among_the_tables_make_no_check_fail(kit):
    """Their files are looked at like all others; a name that SQL must quote ended every check in a traceback."""
    before = files.check(kit.evidence()).rows
    others = ("bronze/my-copy", "silver/bcb_sgs.old_revisions", "gold/two words")
    for table in others:
        write_deltalake(str(kit.lake / table), pa.table({"x": [1]}))
    assert failing(kit) == {}
    assert files.check(kit.evidence()).rows == before + len(others)


# bronze


def test_a_removed_bronze_file_is_named_and_so_are_its_offsets(kit):
    name = kit.remove_a_file("bronze.anatel_broadband_accesses")
    found = failing(kit, "bronze")
    assert text(found["files"]) == (f"bronze.anatel_broadband_accesses: 1 data file(s) missing or cut short ['{name}']")
    assert text(found["offsets"]) == (
        "bronze.anatel_broadband_accesses (anatel_broadband_accesses.v1/0): 3 committed records are not in bronze"
        " ['offsets 0-3']"
    )
    assert "1 chunk(s) have other rows than their manifest counts ['chunk chunk-8: 3 counted, 0 held']" in text(
        found["manifests"]
    )


def test_rows_deleted_from_bronze_are_named_as_ranges_of_offsets(kit):
    kit.delete("bronze.bcb_sgs", '"offset" >= 4 and "offset" <= 12')
    assert "6 committed records are not in bronze ['offsets 4-12']" in text(failing(kit, "bronze")["offsets"])


def test_a_row_that_the_topic_does_not_have_is_extra(kit):
    kit.messages["bcb_sgs.v1"].pop(3)
    assert "1 offsets in bronze hold no committed record ['offsets 4']" in text(failing(kit, "bronze")["offsets"])


def test_a_row_with_other_bytes_than_the_topic_is_seen_by_offsets_and_by_the_manifest(kit):
    kit.change("bronze.bcb_sgs", value_hash="7", where='"offset" = 4')
    found = failing(kit, "bronze")
    assert "1 records in bronze have other bytes than the topic ['offsets 4']" in text(found["offsets"])
    assert "1 chunk(s) hash to something else than their manifest says" in text(found["manifests"])


def test_control_records_that_bronze_has_not_committed_are_lag_and_with_them_committed_the_gap_is_a_loss(kit, control):
    name = "anatel_broadband_accesses"
    kit.delete(f"bronze.{name}", '"offset" >= 1')
    lagging = kit.evidence(committed={name: {0: 1}})
    assert len(offsets.check(lagging, kit.cluster).notes) == 1
    control.holds(found, offsets.check, lagging, kit.cluster)
    control.objects(found, offsets.check, kit.evidence(), kit.cluster, damage="committed records are not in bronze")


def test_a_doubled_row_fails_the_double_checks_and_the_manifest(kit):
    kit.double("bronze.bcb_sgs", '"offset" = 4')
    found = failing(kit, "bronze")
    assert "1 coordinates stand more than once" in text(found["doubles"])
    assert "offset=4, times=2" in text(found["doubles"])
    assert "1 rows of a chunk stand more than once" in text(found["doubles"])
    assert "chunk chunk-4: 41 counted, 42 held" in text(found["manifests"])


def test_a_row_published_twice_at_two_offsets_is_a_doubled_row_of_its_chunk(kit):
    first = kit.bronze["bcb_sgs"][0]
    kit.append_record("bcb_sgs", first["key"], kit.messages["bcb_sgs.v1"][0].value(), first["record"], BEGIN)
    kit.write()
    found = failing(kit, "bronze")
    assert found.keys() == {"doubles", "manifests"}
    assert "bronze.bcb_sgs: 1 rows of a chunk stand more than once" in text(found["doubles"])


# manifests


def test_a_manifest_without_rows_is_found(kit):
    kit.delete("bronze.inmet_stations", "true")
    assert "chunk chunk-1: 1 counted, 0 held" in text(failing(kit, "bronze")["manifests"])


def test_rows_without_a_manifest_are_found(kit):
    kit.delete("bronze.ingest_manifests", "record['chunk_id'] = 'chunk-3'")
    found = text(failing(kit, "bronze")["manifests"])
    assert "bronze.inmet_hourly: 1 rows of 1 chunk(s) without a manifest ['chunk chunk-3']" in found


def test_a_chunk_with_two_manifests_was_published_twice(kit):
    kit.double("bronze.ingest_manifests", '"offset" = 0')
    assert "1 chunk(s) have a second manifest: published twice ['chunk chunk-1']" in text(
        failing(kit, "bronze")["manifests"]
    )


def test_a_lost_reject_is_found(kit):
    kit.delete("bronze.ingest_rejects", "true")
    assert "1 chunk(s) have other rejects than their manifest counts ['chunk chunk-2: 1 counted, 0 held']" in text(
        failing(kit, "bronze")["manifests"]
    )


def test_control_rows_that_bronze_may_not_have_read_yet_are_not_checked_and_without_the_lag_they_are(kit, control):
    kit.delete("bronze.inmet_stations", "true")
    lagging = kit.evidence(oldest_unread_at={"inmet_stations": BEGIN.timestamp() - 1})
    assert len(manifests.check(lagging).notes) == 1
    control.holds(found, manifests.check, lagging)
    control.objects(found, manifests.check, kit.evidence(), damage="have other rows than their manifest counts")


# silver


@pytest.mark.parametrize("table", ["silver.bcb_sgs", "silver.bcb_sgs_revisions"])
def test_a_doubled_silver_row_is_found(kit, table):
    kit.double(table, "series_code = 432")
    assert f"{table}: 1 keys stand more than once ['series_code=432, reference_on=2024-03-05" in text(
        failing(kit, "silver")["keys"]
    )


def test_a_changed_value_in_current_is_not_the_newest_revision(kit):
    kit.change("silver.bcb_sgs", value="9.9", where="series_code = 432")
    found = failing(kit)
    assert "silver.bcb_sgs: 1 rows are not those of the newest of the revisions" in text(found["keys"])
    assert found.keys() == {"keys"}


def test_an_older_version_in_current_is_found(kit):
    kit.change("silver.inmet_hourly", air_temperature_celsius="25.0", where="air_temperature_celsius = 36.5")
    assert "observed_at=2024-03-04T03:00:00+00:00" in text(failing(kit, "silver")["keys"])


def test_a_changed_value_in_revisions_is_not_what_bronze_gives(kit):
    for table in ("silver.bcb_sgs", "silver.bcb_sgs_revisions"):
        kit.change(table, value="9.9", where="series_code = 432")
    kit.write_gold()
    found = failing(kit)
    assert found.keys() == {"silver"}
    assert "silver.bcb_sgs_revisions: 1 rows of the batch over bronze are missing or different" in text(found["silver"])
    assert "series_code=432, reference_on=2024-03-05" in text(found["silver"])


def test_a_lost_revision_is_found(kit):
    kit.delete("silver.inmet_hourly_revisions", "air_temperature_celsius = 36.5")
    assert "1 rows of the batch over bronze are missing or different" in text(failing(kit, "silver")["silver"])


def test_a_version_that_was_never_published_is_found(kit):
    kit.double("silver.bcb_sgs_revisions", "series_code = 432")
    kit.change("silver.bcb_sgs_revisions", reference_on="date '1999-01-01'", where="series_code = 432")
    assert "reference_on=1999-01-01" in text(failing(kit, "silver")["silver"])


def test_a_version_that_a_late_one_made_redundant_must_be_gone(kit):
    """The late version lands before an equal stored one, which is a repetition now."""
    stored = kit.rows("silver.bcb_sgs_revisions", "series_code = 432")
    kit.publish("bcb_sgs", value(432, date(2024, 3, 5), "10.75", BEGIN - timedelta(days=1000)))
    kit.write()
    assert failing(kit) == {}

    kit.append("silver.bcb_sgs_revisions", stored)
    assert "1 rows are not those of the batch over bronze" in text(failing(kit, "silver")["silver"])


def test_a_key_that_is_withdrawn_and_comes_back_is_as_bronze_says(kit):
    """Between its two values it is neither in current nor in gold; a withdrawal of nothing says nothing."""
    month = date(2026, 1, 1)
    key = {"reference_month_on": str(month), "cnpj": "2" * 14, "municipality_code": "2927408", "technology": "FTTH"}
    hours = [{"station_code": "A401", "observed_at": "2024-03-04T05:00:00Z"}]
    later, last = BEGIN + timedelta(days=1), BEGIN + timedelta(days=2)
    kit.withdraw("anatel_broadband_accesses", key, key | {"technology": "unknown"}, kafka_at=later)
    kit.withdraw("inmet_hourly", *hours, kafka_at=later)
    kit.write()
    assert failing(kit) == {}
    assert len(kit.rows("silver.anatel_broadband_accesses_revisions", "is_withdrawn")) == 1
    fact = "gold.fact_broadband_accesses_monthly"
    [held] = kit.rows(fact, "reference_month_on = DATE '2026-01-01'").to_pylist()
    assert (held["accesses"], held["providers"], held["known_from"]) == (10, 1, later)

    kit.publish("anatel_broadband_accesses", accesses(month, 5, "2" * 14), kafka_at=last)
    kit.write()
    assert failing(kit) == {}
    [held] = kit.rows(fact, "reference_month_on = DATE '2026-01-01'").to_pylist()
    assert (held["accesses"], held["known_from"]) == (15, last)


def test_control_a_withdrawal_that_silver_ignored_is_found(kit, control):
    """Silver is what it was before the withdrawal came."""

    def wrong() -> list[str]:
        return [f"{name}: {each}" for name, outcome in failing(kit, "silver").items() for each in [text(outcome)]]

    key = {"reference_month_on": "2026-01-01", "cnpj": "2" * 14, "municipality_code": "2927408", "technology": "FTTH"}
    control.holds(wrong)
    kit.withdraw("anatel_broadband_accesses", key, kafka_at=BEGIN + timedelta(days=1))
    kit.write_bronze("ingest.withdrawals", kit.bronze["ingest.withdrawals"])
    damage = "silver.anatel_broadband_accesses_revisions: 1 rows of the batch over bronze are missing"
    control.objects(wrong, damage=damage)


def test_a_value_at_a_withdrawals_own_clock_stands(kit):
    at_once = BEGIN + timedelta(days=1)
    kit.withdraw("inmet_hourly", {"station_code": "A401", "observed_at": "2024-03-04T05:00:00Z"}, kafka_at=at_once)
    kit.publish("inmet_hourly", hour(at("2024-03-04T05:00:00"), 1.0), kafka_at=at_once)
    kit.write()
    assert failing(kit) == {}
    assert kit.rows("silver.inmet_hourly_revisions", "is_withdrawn").num_rows == 0


def test_a_row_missing_from_quarantine_is_found(kit):
    kit.delete("silver.quarantine", "true")
    assert "silver.quarantine (bcb_sgs): 1 rows of the batch over bronze are missing" in text(
        failing(kit, "silver")["silver"]
    )


def test_a_good_row_in_quarantine_is_found(kit):
    kit.write_quarantine(
        [{"dataset": "bcb_sgs", "rules": ["value_below_100"], "kafka_partition": 0, "kafka_offset": 0}]
    )
    found = text(failing(kit, "silver")["silver"])
    assert "1 rows are not those of the batch over bronze ['kafka_partition=0, kafka_offset=0']" in found


def test_a_conflicting_version_belongs_in_quarantine(kit):
    kit.publish("inmet_hourly", hour(BEGIN, 10.0, published_at=BEGIN), hour(BEGIN, 11.0, published_at=BEGIN))
    kit.write()
    assert failing(kit) == {}
    kit.delete("silver.quarantine", "dataset = 'inmet_hourly'")
    assert failing(kit).keys() == {"silver"}


def test_a_rule_that_one_side_alone_applies_is_found(kit):
    kit.change("silver.quarantine", rules="array['another_rule']")
    assert "silver" in failing(kit, "silver")


# gold


@pytest.mark.parametrize(
    ("table", "column", "expression"),
    [
        ("fact_weather_daily", "rain_mm", "rain_mm + 0.001"),
        ("fact_weather_daily", "is_complete", "not is_complete"),
        ("fact_economic_observation", "value", "value + 1"),
        ("fact_broadband_accesses_monthly", "accesses", "accesses + 1"),
        ("dim_weather_station", "name", "'X'"),
        ("external_factors_daily", "ipca_12m_percent", "null"),
        ("external_factors_daily", "known_from", "known_from + interval '1' second"),
    ],
)
def test_a_changed_gold_value_is_found_in_its_column_only(kit, table, column, expression):
    kit.change(f"gold.{table}", **{column: expression})
    found = failing(kit, "gold")
    assert found.keys() == {f"gold.{table} = batch(silver)"}
    (finding,) = next(iter(found.values()))
    assert f"values of {column} differ" in finding.what
    assert "stored=" in finding.examples[0]


@pytest.mark.parametrize("table", ["fact_weather_daily", "external_factors_daily", "fact_broadband_accesses_monthly"])
def test_a_lost_gold_row_is_found(kit, table):
    kit.delete(f"gold.{table}", "known_from is not null")
    assert "rows are missing" in text(failing(kit, "gold")[f"gold.{table} = batch(silver)"])


def test_a_gold_row_without_a_cause_is_found(kit):
    kit.double("gold.fact_economic_observation", "series_code = 432")
    kit.change("gold.fact_economic_observation", series_code="999", where="series_code = 432")
    found = text(failing(kit, "gold")["gold.fact_economic_observation = batch(silver)"])
    assert "2 rows should not be there" in found
    assert "keys stand more than once" in found


def test_a_whole_number_that_differs_by_one_is_found_however_great_it_is(kit):
    kit.publish("anatel_broadband_accesses", accesses(date(2026, 3, 1), 50_000_000))
    kit.write()
    assert failing(kit, "gold") == {}
    kit.change("gold.fact_broadband_accesses_monthly", accesses="accesses + 1", where="accesses = 50000000")
    found = failing(kit, "gold")["gold.fact_broadband_accesses_monthly = batch(silver)"]
    assert "values of accesses differ" in text(found)


def test_a_difference_below_a_millionth_is_none(kit):
    kit.change("gold.fact_weather_daily", rain_mm="rain_mm + 0.0000001")
    assert failing(kit, "gold") == {}
