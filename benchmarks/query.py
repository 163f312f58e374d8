"""`make bench-query`: twenty analyst questions on the demo lake, each as `correnteza query` asks it: P95."""

# ruff: noqa: E501 - the questions stand on one line each

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.harness import report
from foundation.errors import UsageError
from monitoring.lake import Lake

ROUNDS = 5

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
    """Ask every question five times; print the slowest ones and the P95 of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, default=Path("var/demo/lake"))
    lake = parser.parse_args().lake
    if not lake.exists():
        raise UsageError(f"there is no lake at {lake}", hint="make demo")
    seconds: dict[str, list[float]] = {name: [] for name in QUESTIONS}
    for _ in range(ROUNDS):
        for name, sql in QUESTIONS.items():
            began = time.monotonic()
            Lake(lake).sql(sql)
            seconds[name].append(time.monotonic() - began)
    rows = [
        {"question": name, "median_s": f"{statistics.median(each):.3f}", "slowest_s": f"{max(each):.3f}"}
        for name, each in sorted(seconds.items(), key=lambda item: -statistics.median(item[1]))
    ]
    every = sorted(second for each in seconds.values() for second in each)
    p95 = every[int(len(every) * 0.95) - 1]
    rows.append({"question": f"P95 of {len(every)} askings", "median_s": f"{p95:.3f}", "slowest_s": f"{every[-1]:.3f}"})
    report("query", "Twenty analyst questions, lake opened for each", rows)


if __name__ == "__main__":
    main()
