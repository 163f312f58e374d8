"""`make bench-query`: twenty analyst questions on the demo lake, each by a `correnteza query` of its own: P95.

The time is the process's, from its start to its exit. The same is asked of a copy whose hourly tables are aged
(`benchmarks/ageing.py`), alternately with the lake as it is, so that a busy moment hits both.
"""

# ruff: noqa: E501 - the questions stand on one line each

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ageing import COMMITS, HOURLY, age
from benchmarks.harness import RUNS, machine, report, spread, timed
from foundation.errors import UsageError

QUESTIONS = {
    "factors of a capital in a month": "select * from gold.external_factors_daily where uf = 'BA' and date_on between '2024-06-01' and '2024-06-30'",
    "hottest days of the capitals": "select uf, date_on, temperature_max_celsius from gold.external_factors_daily order by 3 desc nulls last limit 20",
    "heavy rain per month": "select date_trunc('month', date_on) m, count(*) filter (is_heavy_rain) from gold.external_factors_daily group by 1 order by 1",
    "days without weather per capital": "select uf, count(*) filter (weather_source is null) from gold.external_factors_daily group by 1",
    "dollar and its volatility": "select date_on, usd_brl, fx_volatility_30d from gold.external_factors_daily where municipality_code = '2927408' and date_on >= '2024-01-01'",
    "months of high inflation": "select distinct date_trunc('month', date_on) from gold.external_factors_daily where is_high_inflation",
    "rows by clock": "select known_from_basis, count(*) from gold.external_factors_daily group by 1",
    "coldest hour of a station": "select observed_at, air_temperature_celsius from silver.inmet_hourly where station_code = 'A807' order by 2 limit 1",
    "station days that are incomplete": "select station_code, count(*) from gold.fact_weather_daily where not is_complete group by 1",
    "stations beside the days": "select s.name, count(*) from gold.fact_weather_daily f join gold.dim_weather_station s on s.station_code = f.station_code and f.date_on between s.valid_from_on and coalesce(s.valid_to_on, '9999-12-31') group by 1",
    "observed against reanalysed": "select w.date_on, w.temperature_mean_celsius, r.temperature_mean_celsius from gold.fact_weather_daily w join gold.fact_reanalysis_daily r using (date_on) where w.station_code = 'A401'",
    "broadband per technology": "select reference_month_on, technology, sum(accesses) from gold.fact_broadband_accesses_monthly group by all order by all",
    "operators that were renamed": "select cnpj, count(*) from gold.dim_operator group by 1 having count(*) > 1",
    "5G share per municipality": "select m.name, max(share_5g_percent) from gold.fact_5g_municipality f join gold.dim_municipality m using (municipality_code) group by 1",
    "towers per operator": "select company, count(distinct station_number) from gold.fact_base_stations group by 1 order by 2 desc",
    "closing rates": "select date_on, closing_selling from gold.fact_fx_daily order by 1 desc limit 30",
    "Selic per month": "select date_trunc('month', reference_on) m, avg(value) from gold.fact_economic_observation where series_code = 432 group by 1 order by 1",
    "versions of the IPCA": "select * from silver.bcb_sgs_revisions where series_code = 433 order by reference_on desc, known_from",
    "what was corrected": "select station_code, observed_at, count(*) from silver.inmet_hourly_revisions group by all having count(*) > 1",
    "rows per chunk": "select chunk_id, count(*) from silver.inmet_hourly group by 1 order by 2 desc limit 10",
}  # fmt: skip


def main() -> None:
    """Ask every question of both lakes; print the slowest ones and the P95 of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var/demo"), help="whose lake is asked")
    parser.add_argument("--runs", type=int, default=RUNS, help="askings of each question")
    parser.add_argument("--commits", type=int, default=COMMITS, help="of each aged table")
    arguments = parser.parse_args()
    lake = arguments.home / "lake"
    if not lake.exists():
        raise UsageError(f"there is no lake at {lake}", hint="make demo")
    before = machine()
    with tempfile.TemporaryDirectory(prefix="bench-query-") as folder:
        old, empty = Path(folder) / "aged", Path(folder) / "empty"
        shutil.copytree(lake, old / "lake")
        aged = age(old / "lake", HOURLY, arguments.commits)
        homes = {"fresh": arguments.home, "aged": old}
        seconds: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in homes} for name in QUESTIONS}
        nothing: list[float] = []
        for _ in range(arguments.runs):
            nothing.append(_asked(empty, "select 1"))
            for name, sql in QUESTIONS.items():
                for kind, home in homes.items():
                    seconds[name][kind].append(_asked(home, sql))
    start = spread("s", nothing)
    notes = (
        "from the start of each process to its exit; `select 1` of an empty home, which is Python and its imports: "
        f"{start['s']:.2f} s ({start['s_least']:.2f} to {start['s_greatest']:.2f})",
        aged,
        f"machine: {before}",
    )
    report("query", "Twenty analyst questions, seconds of `correnteza query`", table(seconds), notes)


def table(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, Any]]:
    """A row for each question, the slowest first, then the P95 of all askings. Args: seconds: by question and lake."""
    rows = []
    for name, of_lakes in sorted(seconds.items(), key=lambda item: -statistics.median(item[1]["fresh"])):
        row: dict[str, Any] = {"candidate": name}
        for kind, values in of_lakes.items():
            row |= spread(kind, values)
        rows.append(row)
    last: dict[str, Any] = {}
    for kind in next(iter(seconds.values())):
        every = sorted(second for of_lakes in seconds.values() for second in of_lakes[kind])
        p95 = every[-(-len(every) * 95 // 100) - 1]
        last |= {kind: p95, f"{kind}_least": every[0], f"{kind}_greatest": every[-1]}
    return [*rows, {"candidate": f"P95 of {len(every)} askings each", **last}]


def _asked(home: Path, sql: str) -> float:
    return timed(("-m", "correnteza", "query", sql), {"CORRENTEZA_HOME": str(home)})[0]


if __name__ == "__main__":
    main()
