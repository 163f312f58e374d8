"""The demo's summary: it fits one screen, and what it leaves out it counts."""

from pathlib import Path

from correnteza.demo import Report
from correnteza.demo_summary import WIDTH, Summary

SOURCES = [f"source_{number:02}" for number in range(11)]
CHECKS = ["bronze = topic", "gold.a = batch(silver)", "gold.b = batch(silver)", "gold.c = reference"]
ROWS = {"bronze.a": 5, "bronze.b": 1_000, "gold.a": 3, "silver.a": 4, "ops.schemas": 1}


def lines(*, in_store: bool = False, **more: object) -> list[str]:
    report = Report(
        seconds={f"stage {number}": 10.4 for number in range(10)},
        published={day: dict.fromkeys(SOURCES, 10_000) for day in (1, 2, 3)},
        replayed=dict.fromkeys(SOURCES, 0),
    )
    checks = [{"check": name, "holds": True} for name in CHECKS]
    known = {"report": report, "rows": ROWS, "checks": checks, "answer": "a  b\n1  2\n(1 row)\n", "seconds": 104.0}
    return Summary(**(known | more)).lines(Path("var/demo"), in_store=in_store)


def test_it_fits_a_screen():
    checks = [{"check": f"check number {number} = another", "holds": True} for number in range(15)]
    shown = lines(checks=checks, answer="\n".join(["a row"] * 5))
    assert len(shown) <= 40
    assert max(len(line) for line in shown if "CORRENTEZA_HOME" not in line) <= WIDTH


def test_each_layer_is_a_line_with_its_largest_table():
    (bronze,) = (line.split() for line in lines() if line.startswith("bronze "))
    assert bronze == ["bronze", "2", "1,005", "bronze.b", "1,000"]


def test_checks_of_gold_tables_are_counted_by_what_they_compare_with():
    text = " ".join(lines())
    assert "4 of 4 checks hold: bronze = topic, gold = batch(silver) (2 tables), gold = reference (1 table)" in text


def test_a_check_that_fails_is_named():
    checks = [{"check": "bronze = topic", "holds": False}, {"check": "all accounted for", "holds": True}]
    assert "FAILS: bronze = topic" in lines(checks=checks)


def test_a_second_run_publishes_nothing_and_has_its_summary():
    again = Report(seconds={"verify": 1.0}, published={}, replayed=dict.fromkeys(SOURCES, 0))
    assert lines(report=again)[1].split() == ["source_00", "0"]


def test_what_is_in_a_store_is_named_by_its_address_and_no_command_is_shown_that_needs_the_ended_store():
    text = "\n".join(lines(in_store=True))
    assert "tables: s3://lake/<layer>/<table>   payloads: s3://archive" in text
    assert "CORRENTEZA_HOME" not in text
    assert "make demo-s3" in text
