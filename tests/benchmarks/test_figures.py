"""How a benchmark makes one table of several runs, and what it times."""

import pytest

from benchmarks.harness import spread, timed, together
from benchmarks.ingest import compared
from benchmarks.query import table


def test_several_runs_give_their_median_least_and_greatest():
    assert spread("s", [3.0, 1.0, 2.0]) == {"s": 2.0, "s_least": 1.0, "s_greatest": 3.0}


def test_runs_are_put_together_candidate_by_candidate():
    runs = [
        [
            {"candidate": "a", "rows": 7, "seconds": seconds, "mb": mb},
            {"candidate": "b", "rows": 9, "seconds": 1.0, "mb": 5},
        ]
        for seconds, mb in ((1.0, 10), (4.0, 30), (2.0, 20))
    ]
    assert together(runs, "seconds") == [
        {"candidate": "a", "rows": 7, "seconds": 2.0, "seconds_least": 1.0, "seconds_greatest": 4.0, "mb": 20},
        {"candidate": "b", "rows": 9, "seconds": 1.0, "seconds_least": 1.0, "seconds_greatest": 1.0, "mb": 5},
    ]


def test_a_run_without_one_of_the_candidates_is_refused():
    row = {"candidate": "a", "seconds": 1.0}
    with pytest.raises(ValueError, match="shorter"):
        together([[row, row], [row]], "seconds")


def test_each_candidate_of_the_ingest_is_held_against_the_one_by_hand():
    def run(speed: float) -> list[dict[str, object]]:
        row = {"rows_per_second": 10.0, "cpu_seconds_per_million_rows": 4.0}
        ours = {"rows_per_second": speed, "cpu_seconds_per_million_rows": 1.0}
        return [{"candidate": "by hand", **row}, {"candidate": "correnteza", **ours}]

    _, ours = compared([run(15.0), run(40.0), run(20.0)])
    assert (ours["rows_per_second"], ours["rows_per_second_least"], ours["rows_per_second_greatest"]) == (
        20.0,
        15.0,
        40.0,
    )
    assert (ours["rows_per_second_against_by_hand"], ours["cpu_against_by_hand"]) == (2.0, 0.25)


def test_the_questions_stand_slowest_first_and_the_p95_is_of_all_askings():
    quick = {"fresh": [0.1] * 10, "aged": [0.2] * 10}
    slow = {"fresh": [1.0] * 9 + [2.0], "aged": [3.0] * 10}
    first, second, last = table({"quick": quick, "slow": slow})
    assert (first["candidate"], second["candidate"]) == ("slow", "quick")
    assert first == {
        "candidate": "slow",
        **{"fresh": 1.0, "fresh_least": 1.0, "fresh_greatest": 2.0},
        **{"aged": 3.0, "aged_least": 3.0, "aged_greatest": 3.0},
    }
    assert (last["candidate"], last["fresh"], last["fresh_greatest"], last["aged"]) == (
        "P95 of 20 askings each",
        1.0,
        2.0,
        3.0,
    )


def test_what_is_timed_is_the_whole_process_and_its_output_is_given():
    # A process's own CPU time counts from its start, before Python can look at a clock.
    seconds, said = timed(("-c", "import os, time; print(os.environ['GIVEN'], time.process_time())"), {"GIVEN": "yes"})
    given, cpu_seconds = said.split()
    assert given == "yes"
    assert seconds > float(cpu_seconds) > 0


def test_a_command_that_fails_is_no_figure():
    with pytest.raises(RuntimeError, match="ended with 3: half"):
        timed(("-c", "print('half'); raise SystemExit(3)"), {})
