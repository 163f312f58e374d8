"""Current holds exactly the keys of the newest complete edition of each scope; each kind of damage is named."""

import json
from datetime import date, timedelta

import pytest

from monitoring.proof.checks import scopes
from tests.monitoring.kit import BEGIN, TOPIC_ID, Kit, accesses, hour

ACCESSES, HOURLY = "anatel_broadband_accesses", "inmet_hourly"
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
YEAR = [[str(JANUARY), "2026-12-01"]]


def stated(dataset, days, part, edition, where=None, **more):
    scope = json.dumps({"datasets": [dataset], "where": where or {}, "days": days})
    return {"resource": "r", "part_key": part, "edition": edition, "scope": scope, "rows_withdrawn": 0} | more


@pytest.fixture
def kit(tmp_path):
    """Provider 2 is in the first edition of the year and not in the second; silver knows of no withdrawal."""
    kit = Kit(tmp_path)
    first = [accesses(JANUARY, 10), accesses(JANUARY, 5, "2" * 14), accesses(FEBRUARY, 12)]
    kit.publish(ACCESSES, *first, **stated(ACCESSES, YEAR, "2026", 1))
    kit.publish(ACCESSES, first[0], first[2], kafka_at=later(1), **stated(ACCESSES, YEAR, "2026", 2))
    return kit.write()


def later(hours):
    return BEGIN + timedelta(hours=hours)


def found(kit, **options):
    outcome = scopes.check(kit.evidence(**options))
    return [(each.where, each.what, [example.split(",")[0] for example in each.examples]) for each in outcome.findings]


EXTRA = [(f"silver.{ACCESSES}", "1 keys stand that the newest edition of their scope no longer holds",
          ["reference_month_on=2026-01-01"])]  # fmt: skip


def test_a_key_that_was_never_withdrawn_is_named_with_its_month(kit):
    assert found(kit) == EXTRA
    kit.delete(f"silver.{ACCESSES}", f"cnpj = '{'2' * 14}'")
    assert found(kit) == []


def test_a_key_that_current_lost_is_named_and_one_in_quarantine_is_not_missed(kit):
    kit.delete(f"silver.{ACCESSES}", f"cnpj = '{'2' * 14}' OR reference_month_on = '{FEBRUARY}'")
    assert [each[1:] for each in found(kit)] == [
        ("1 keys of the newest edition of their scope are missing", ["reference_month_on=2026-02-01"])
    ]
    offset = kit.bronze[ACCESSES][-1]["offset"]
    kit.write_quarantine([{"dataset": ACCESSES, "kafka_partition": 0, "kafka_offset": offset, "topic_id": TOPIC_ID}])
    assert found(kit) == []


def test_a_month_that_moved_is_checked_by_the_part_that_states_it_now(kit):
    """The member of the second quarter's months takes February over, without the provider that the year had."""
    quarter = [[str(FEBRUARY), "2026-04-01"]]
    other = accesses(FEBRUARY, 7, "3" * 14)
    kit.publish(ACCESSES, other, kafka_at=later(2), **stated(ACCESSES, quarter, "202602-202604", 1))
    kit.write()
    assert found(kit) == [
        (f"silver.{ACCESSES}", "2 keys stand that the newest edition of their scope no longer holds",
         ["reference_month_on=2026-01-01", "reference_month_on=2026-02-01"])
    ]  # fmt: skip


def test_days_that_an_unfinished_edition_states_are_not_checked(kit):
    kit.publish(ACCESSES, kafka_at=later(2), is_last_of_part=False, **stated(ACCESSES, YEAR, "2026", 3))
    kit.write()
    assert found(kit) == []


def test_what_is_held_or_unknown_is_said_and_a_held_key_may_stand(kit):
    held = stated(ACCESSES, YEAR, "2026", 3, withdrawals_held=2, rows_withdrawn=None)
    kit.publish(ACCESSES, accesses(JANUARY, 10), kafka_at=later(2), **held)
    kit.write()
    outcome = scopes.check(kit.evidence())
    assert outcome.findings == []
    assert [note.partition(": ")[2][:24] for note in outcome.notes] == [
        "2 withdrawals are held: ",
        "what it withdrew is unkn",
    ]


def test_stations_are_distinguished(tmp_path):
    kit = Kit(tmp_path)
    hours = [hour(BEGIN, station=station) for station in ("A401", "A249")]
    for number, row in enumerate(hours):
        where = {"station_code": row["station_code"]}
        days = [[str(BEGIN.date()), str(BEGIN.date())]]
        kit.publish(HOURLY, row, kafka_at=later(number), **stated(HOURLY, days, row["station_code"], 1, where))
    kit.write()
    assert found(kit) == []
    assert scopes.check(kit.evidence()).rows == 2


def test_only_editions_with_a_manifest_in_the_window_are_checked(kit):
    assert found(kit, since=later(2)) == []
    assert found(kit, since=later(1)) == EXTRA


def test_nothing_is_checked_before_bronze_has_read_every_manifest(kit):
    outcome = scopes.check(kit.evidence(oldest_unread_at={"ingest.manifests": 1.0}))
    assert (outcome.findings, len(outcome.notes)) == ([], 1)
