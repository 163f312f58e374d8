"""The keys that an edition no longer holds, found only from archived payloads: pure, with the parser of one source."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from producers import sources
from producers.archive import Archive
from producers.model import Comparison, Holding, Part
from producers.payloads import MEDIA_BODY
from producers.scope import Scope
from producers.withdrawals import MESSAGE_KEY, NOTHING, Comparing, Withdrawn

SGS = sources.load("bcb_sgs")
FETCHED = datetime(2025, 11, 10, 12, tzinfo=UTC)
ALL_2025 = (date(2025, 1, 1), date(2025, 12, 31))
DAYS = [f"{day:02d}/{month:02d}/2025" for month in range(1, 11) for day in range(1, 29)]


def body(days, *, bad: int = 0) -> bytes:
    return json.dumps([{"data": day, "valor": "1.5"} for day in days] + [{"data": "?", "valor": "1"}] * bad).encode()


def scope(*days) -> Scope:
    return Scope(("bcb_sgs",), days or (ALL_2025,), (("series_code", 433),))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


@pytest.fixture
def compare(archive):
    """Former bodies, and a new one → what it withdraws."""

    def run(*former: bytes | None, new: bytes, stated: Scope | None = None) -> Withdrawn:
        stated, held = stated or scope(), []
        for number, each in enumerate(former):
            about = {"resource": "433", "part": f"p{number}", "media": MEDIA_BODY}
            sha = archive.put([each], about).sha256 if each is not None else "0" * 64
            held.append(Holding(f"p{number}", f"p{number}", sha, FETCHED, FETCHED, stated.text))
        comparing = Comparing(SGS, "433", Comparison(stated.text, held), archive.get)
        comparing.see_parsed(SGS.parse([new], Part("433", "p", "p", FETCHED)))
        return comparing.withdrawn()

    return run


def keys(found: Withdrawn) -> list[str]:
    return [key for table in found.keys.values() for key in table.column(MESSAGE_KEY).to_pylist()]


def test_a_key_that_is_gone_is_named_by_its_message_key_and_its_fields(compare):
    found = compare(body(DAYS[:5]), new=body(DAYS[:2] + DAYS[3:5]))
    assert keys(found) == ["433|2025-01-03"]
    assert found.keys["bcb_sgs"].column("reference_on").to_pylist() == [date(2025, 1, 3)]
    assert (found.rows, found.why_held, found.is_unknown) == (1, None, False)


def test_a_changed_value_and_a_new_key_withdraw_nothing(compare):
    new = json.dumps([{"data": day, "valor": "9"} for day in DAYS[:6]]).encode()
    assert compare(body(DAYS[:5]), new=new) == NOTHING


def test_what_slid_out_of_the_window_is_not_withdrawn(compare):
    window = scope((date(2025, 1, 4), date(2025, 12, 31)))
    assert keys(compare(body(DAYS[:9]), new=body(DAYS[4:9]), stated=window)) == ["433|2025-01-04"]
    whole = compare(body(DAYS[:9]), new=body(DAYS[4:9]))
    assert len(keys(whole)) == 4, "control: without the window's days, what slid out would be withdrawn"


def test_a_key_of_two_former_payloads_is_withdrawn_once(compare):
    assert keys(compare(body(DAYS[:4]), body(DAYS[:4]), new=body(DAYS[1:4]))) == ["433|2025-01-01"]


def foreign(found: Withdrawn) -> list[str]:
    """The oracle: keys of another series than the edition's own."""
    return [f"a key of another series: {key}" for key in keys(found) if not key.startswith("433|")]


def test_two_series_with_the_same_answer_withdraw_none_of_each_other_s_keys(compare, archive, control, monkeypatch):
    """The archive keeps equal bytes once, noted as the other series' that came later. Both lost a day since."""

    def lost_a_day() -> Withdrawn:
        return compare(body(DAYS[:5]), new=body(DAYS[:4]))

    put = archive.put
    monkeypatch.setattr(archive, "put", lambda blocks, about: put(blocks, {**about, "resource": "12"}))
    control.holds(foreign, lost_a_day())
    assert keys(lost_a_day()) == ["433|2025-01-05"]
    former = Comparing._former

    def by_the_note(self, *arguments):
        self._resource = "12"
        return former(self, *arguments)

    monkeypatch.setattr(Comparing, "_former", by_the_note)
    control.objects(foreign, lost_a_day(), damage="a key of another series: 12|")


def test_of_an_edition_given_up_half_way_only_what_was_published_counts(compare, archive, monkeypatch):
    parse = SGS.parse
    by_two = type(SGS)(**{**SGS.__dict__, "parse": lambda blocks, part, **_: parse(blocks, part, chunk_rows=2)})
    about = {"resource": "433", "part": "p", "media": MEDIA_BODY}
    half = Holding("p", "p", archive.put([body(DAYS[:6])], about).sha256, FETCHED, FETCHED, scope().text, next_row=2)
    comparing = Comparing(by_two, "433", Comparison(scope().text, [half]), archive.get)
    comparing.see_parsed(parse([body(DAYS[6:9])], Part("433", "p", "p", FETCHED)))
    assert keys(comparing.withdrawn()) == ["433|2025-01-01", "433|2025-01-02"]


def test_where_a_former_payload_is_gone_that_is_said_and_the_others_count(compare):
    found = compare(None, body(DAYS[:3]), new=body(DAYS[:2]))
    assert (keys(found), found.is_unknown) == (["433|2025-01-03"], True)
    assert compare(b"<html>", new=body(DAYS[:2])).is_unknown


def test_a_shrunken_publication_is_held(compare):
    assert compare(body(DAYS), new=body(DAYS[: len(DAYS) // 2])).why_held == "140 rows where 280 stood"


def test_few_rows_and_small_shares_are_accepted(compare):
    assert compare(body(DAYS[:90]), new=body(DAYS[:1])).why_held is None
    assert compare(body(DAYS), new=body(DAYS[: len(DAYS) - 20])).why_held is None


def test_a_relabelled_publication_is_no_shrunken_one(compare):
    """As many keys as before, all of them others: what a firm's new name does."""
    before, after = DAYS[:130], DAYS[130:260]
    found = compare(body(before), new=body(after))
    assert (found.rows, found.why_held) == (130, None)


def test_rejected_rows_may_be_what_seems_to_be_gone(compare):
    assert "rejected" in compare(body(DAYS[:9]), new=body(DAYS[:8], bad=1)).why_held
    assert compare(body(DAYS[:9], bad=1), new=body(DAYS[:8], bad=1)).why_held is None


def test_slices_go_through_all_datasets_in_order(compare):
    found = compare(body(DAYS[:7]), new=body(DAYS[:1]))
    places = range(0, 8, 4)
    pieces = [found.slices(first, 4) for first in places]
    assert [batch.column(MESSAGE_KEY).to_pylist() for piece in pieces for batch in piece.values()] == [
        [f"433|2025-01-{day:02d}" for day in (2, 3, 4, 5)],
        [f"433|2025-01-{day:02d}" for day in (6, 7)],
    ]
