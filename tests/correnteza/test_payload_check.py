"""A part without its last chunk: unfinished until its slot is over, a failure of `verify` afterwards."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from correnteza.payload_check import PATIENCE, payload_check
from foundation import clock
from monitoring.proof.checks.model import Outcome
from producers import sources
from producers.archive import Archive
from tests.monitoring.kit import Kit, value

SOURCE, PART = "bcb_sgs", "433"
FETCHED = datetime(2026, 1, 6, 12, tzinfo=UTC)
NEXT_SLOT = sources.load(SOURCE).calendar.next(FETCHED)
DAYS = [date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1)]
IN_TIME, TOO_LATE = NEXT_SLOT + PATIENCE - timedelta(seconds=1), NEXT_SLOT + PATIENCE


class Lake:
    """One archived answer of three values, and a lake of the chunks that were published of it."""

    def __init__(self, root, monkeypatch):
        self.kit, self._archive, self._monkeypatch = Kit(root), Archive(root / "archive"), monkeypatch
        self.check = payload_check(root / "archive")
        body = json.dumps([{"data": f"{on:%d/%m/%Y}", "valor": "0.5"} for on in DAYS]).encode()
        about = {"media": "body", "resource": PART, "part": PART, "retrieved_at": FETCHED}
        self._sha256 = self._archive.put([body], about).sha256

    def chunk(self, first: int, last: int, *, is_last: bool, **manifest) -> None:
        """Values first to last - 1, as the live schedule publishes them unless `manifest` says otherwise."""
        self.kit.publish(
            SOURCE, *(value(433, on, "0.5") for on in DAYS[first:last]), kafka_at=FETCHED,
            **{"slot_id": f"{SOURCE}@2026-01-06T11:11:00Z", "payload_sha256": self._sha256, "part": PART,
               "resource": PART, "part_key": PART, "edition": 1, "is_last_of_part": is_last} | manifest,
        )  # fmt: skip

    def verified(self, now: datetime, **evidence) -> Outcome:
        self._monkeypatch.setattr(clock, "now", lambda: now)
        self.kit.write()
        return self.check(self.kit.evidence(**evidence))


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lake:
    return Lake(tmp_path, monkeypatch)


def found(outcome: Outcome) -> list[str]:
    return [f"{each.where}: {each.what}" for each in outcome.findings]


def test_a_part_without_its_last_chunk_is_noted_until_its_slot_is_over_and_fails_then(lake):
    lake.chunk(0, 2, is_last=False)
    before = lake.verified(IN_TIME)
    assert (found(before), len(before.notes)) == ([], 1)
    assert f"due until {TOO_LATE:%Y-%m-%d %H:%M}" in before.notes[0]

    after = lake.verified(TOO_LATE)
    assert found(after) == [
        f"bcb_sgs (433): its last chunk was due until {TOO_LATE:%Y-%m-%d %H:%M} and is not published;"
        " 2 rows and 0 rejects of it are"
    ]
    assert after.notes == []


def test_a_part_with_its_last_chunk_holds_however_late_it_is(lake):
    lake.chunk(0, 2, is_last=False)
    lake.chunk(2, 3, is_last=True)
    outcome = lake.verified(TOO_LATE + timedelta(days=99))
    assert (found(outcome), outcome.notes, outcome.rows) == ([], [], 3)


def test_a_part_that_skips_rows_before_its_last_chunk_fails(lake):
    lake.chunk(0, 1, is_last=False)
    lake.chunk(2, 3, is_last=True)
    assert "the payload holds 3 rows and 0 rejects; published: 2 rows" in found(lake.verified(IN_TIME))[0]


def test_a_part_that_was_noted_before_fails_later_though_nothing_of_it_is_new(lake):
    """`verify` held with the note, so the next run looks only at what came since."""
    lake.chunk(0, 2, is_last=False)
    assert len(found(lake.verified(TOO_LATE, since=FETCHED + timedelta(days=1)))) == 1


def test_a_newer_edition_does_not_excuse_an_older_one_that_lost_its_end(lake):
    lake.chunk(0, 2, is_last=False)
    lake.chunk(0, 3, is_last=True, edition=2, payload_sha256="f" * 64)
    assert found(lake.verified(TOO_LATE))[0].startswith("bcb_sgs (433): its last chunk was due")


def test_an_unfinished_backfill_fails_once_another_owner_may_take_over_its_parts(lake):
    lake.chunk(0, 2, is_last=False, slot_id=f"{SOURCE}.backfill@2026-01-06T12:00:00Z")
    assert found(lake.verified(FETCHED + timedelta(days=7))) == []
    assert len(found(lake.verified(FETCHED + timedelta(days=9)))) == 1


def test_nothing_fails_while_bronze_has_not_read_every_manifest(lake):
    lake.chunk(0, 2, is_last=False)
    outcome = lake.verified(TOO_LATE, oldest_unread_at={"ingest.manifests": 1.0})
    assert (found(outcome), len(outcome.notes)) == ([], 1)
