"""Marts by real dbt and real Spark over a real lake: what they hold, and what a late row changes.

One lake is built three times by one session: whole; after a late hour; after an operator's rows were withdrawn.
"""

import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from correnteza.marts import build as building
from correnteza.marts import models
from correnteza.marts.build import Mart, Marts
from foundation.errors import UnsafeState, UsageError
from migration import rule_sets, views
from monitoring.lake import Lake
from tests.company.lake import FEIRA, MONTHS, OPERATORS, SALVADOR, lake_of_marts, late_hour, withdrawn_operator
from tests.controls import complaint

pytestmark = pytest.mark.company

LEGACY = {
    "climasalvador": ("data_referencia", views.CLIMATE),
    "indicadoreseconomicos": ("data_referencia", views.ECONOMY),
    "expansao5g": ("data_referencia", views.EXPANSION),
    "legacy_etl_v1": ("date_on", rule_sets.etl_v1(rule_sets.days(SALVADOR))),
    "legacy_unified_v1": ("date_on, municipality_code", rule_sets.unified_v1(rule_sets.days(None))),
}

Rows = dict[str, list[dict[str, object]]]


@dataclass
class Builds:
    """What each build said, and the marts' rows after it, by name."""

    marts: Marts
    said: list[dict[str, Mart]]
    rows: list[Rows]
    legacy: Rows


def rows_of(marts: Marts) -> Rows:
    names = [path.parent.name for path in marts.tables.glob("*/_delta_log")]
    return {name: DeltaTable(str(marts.tables / name)).to_pyarrow_table().to_pylist() for name in names}


@pytest.fixture(scope="module")
def builds(spark, tmp_path_factory) -> Builds:
    root = tmp_path_factory.mktemp("marts")
    kit = lake_of_marts(root)
    marts = Marts(kit.lake, root / "marts", models.PROJECT, root / "locks")
    made = Builds(marts, [], [], {})
    for happens in (None, late_hour, withdrawn_operator):
        if happens:
            happens(kit)
        made.said.append({mart.name: mart for mart in building.build(spark, marts)})
        made.rows.append(rows_of(marts))
        if not happens:
            lake = Lake(kit.lake)
            made.legacy = {name: lake.rows(f"SELECT * FROM ({query})") for name, (_, query) in LEGACY.items()}
    return made


def unequal(found: Rows, expected: Rows) -> list[str]:
    """Every value of a legacy mart that is not what its definition gives in DuckDB."""
    wrong = []
    for name, (key, _) in LEGACY.items():
        keys = key.split(", ")
        here, there = ({tuple(row[each] for each in keys): row for row in rows[name]} for rows in (found, expected))
        wrong += [f"{name}: {each} is on one side only" for each in here.keys() ^ there.keys()]
        for each in here.keys() & there.keys():
            for column in here[each]:
                ours, theirs = here[each][column], there[each][column]
                if ours != theirs and not (
                    isinstance(ours, int | float)
                    and isinstance(theirs, int | float)
                    and math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-15)
                ):
                    wrong.append(f"{name}: {column} of {each} is {ours!r}, by DuckDB {theirs!r}")
    return wrong


def test_control_the_legacy_s_tables_and_rule_sets_hold_what_their_one_definition_gives_in_duckdb(builds, control):
    control.holds(unequal, builds.rows[0], builds.legacy)
    control.objects(unequal, builds.rows[1], builds.legacy, damage="climasalvador: temperatura_maxima of (datetime")
    assert [*builds.rows[0]["legacy_unified_v1"][0]][2:] == [*rule_sets.UNIFIED_COLUMNS]


def changed(before: Rows, after: Rows, name: str) -> list[str]:
    """The rows of a mart that one build holds and the other does not."""
    first, second = (Counter(map(repr, rows[name])) for rows in (before, after))
    return [*(first - second).elements(), *(second - first).elements()]


def test_a_late_row_updates_the_one_row_that_follows_from_it(builds):
    """Gold's table was written whole, all 1,107 rows; Delta's own counts say what MERGE wrote."""
    said = builds.said[1]
    assert "operator_market_share" not in said, "nothing that it reads has changed"
    for name in ("climasalvador", "legacy_unified_v1", "demand_factors_monthly"):
        assert said[name] == Mart(name, inserted=0, updated=1, deleted=0)
        assert len(changed(builds.rows[0], builds.rows[1], name)) == 2
    for name in ("indicadoreseconomicos", "expansao5g", "legacy_etl_v1"):
        assert said[name] == Mart(name, inserted=0, updated=0, deleted=0)


def test_a_row_that_is_withdrawn_leaves_its_mart_and_changes_its_neighbours_alone(builds):
    said = builds.said[2]
    assert said["operator_market_share"] == Mart("operator_market_share", inserted=0, updated=1, deleted=1)
    assert "climasalvador" not in said
    (left,) = (
        row
        for row in builds.rows[2]["operator_market_share"]
        if (row["municipality_code"], row["reference_month_on"]) == (FEIRA, MONTHS[0])
    )
    assert (left["cnpj"], left["share_percent"]) == (OPERATORS[0], 100.0)


def test_shares_are_of_the_accesses_of_people(builds):
    """Of both operators 40 and 50 of voice; Salvador's first has 100 more, whose product type is not named."""
    shares = {
        (row["reference_month_on"], row["municipality_code"], row["cnpj"]): (row["accesses"], row["share_percent"])
        for row in builds.rows[0]["operator_market_share"]
    }
    expected: dict[tuple[date, str, str], tuple[int, float]] = {}
    for month in MONTHS:
        expected[month, FEIRA, OPERATORS[0]] = (40, 100 * 40 / 90)
        expected[month, FEIRA, OPERATORS[1]] = (50, 100 * 50 / 90)
        expected[month, SALVADOR, OPERATORS[0]] = (140, 100 * 140 / 190)
        expected[month, SALVADOR, OPERATORS[1]] = (50, 100 * 50 / 190)
    assert shares.keys() == expected.keys()
    for key, (accesses, share) in expected.items():
        assert shares[key] == (accesses, pytest.approx(share, rel=1e-12))


def test_a_state_s_month_is_made_of_the_days_of_its_capital(builds):
    (march,) = (
        row
        for row in builds.rows[0]["demand_factors_monthly"]
        if (row["uf"], row["reference_month_on"]) == ("BA", date(2024, 3, 1))
    )
    days = [
        row
        for row in builds.rows[0]["legacy_unified_v1"]
        if row["municipality_code"] == SALVADOR and (row["date_on"].year, row["date_on"].month) == (2024, 3)
    ]
    mean = sum(row["demand_adjustment_factor"] for row in days) / len(days)
    assert march["days"] == len(days)
    assert march["demand_adjustment_factor_mean"] == pytest.approx(mean, abs=1e-6)
    assert (march["heavy_rain_days"], march["rain_mm"]) == (2, 120.0)


def test_what_did_not_change_is_not_built_and_the_session_is_as_it_was(builds, spark):
    assert building.build(spark, builds.marts) == []
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    assert rows_of(builds.marts) == builds.rows[2], "dropping a table from the catalog deletes no file"


def test_control_a_doubled_row_of_a_source_keeps_the_marts_below_it_as_they_are(builds, spark, tmp_path, control):
    """The mart's own key stays unique, because it sums by it: only the test of the source sees the double."""
    root = tmp_path / "copy"
    shutil.copytree(builds.marts.lake.parent, root)
    marts = Marts(root / "lake", root / "marts", models.PROJECT, root / "locks")
    path = str(root / "lake/silver/anatel_mobile_accesses")

    def built() -> list[str]:
        return complaint(lambda: building.build(spark, marts))

    control.holds(built)
    rows = DeltaTable(path).to_pyarrow_table()
    write_deltalake(path, rows.slice(0, 1), mode="append")
    control.objects(built, damage="source_key_is_unique_silver_anatel_mobile_accesses")
    assert rows_of(marts)["operator_market_share"] == builds.rows[2]["operator_market_share"]
    with pytest.raises(UnsafeState, match="key_is_unique"):  # it was not noted as done
        building.build(spark, marts)


def test_control_a_model_on_a_table_that_streams_own_is_refused_before_anything_runs(builds, tmp_path, control):
    project = tmp_path / "dbt"
    shutil.copytree(models.PROJECT, project)
    marts = Marts(builds.marts.lake, tmp_path / "home", project, builds.marts.locks)

    def refused() -> list[str]:
        return complaint(lambda: building.parse(marts))

    control.holds(refused)
    (project / "macros/schema.sql").write_text(
        "{% macro generate_schema_name(custom_schema_name, node) %}"
        "{{ custom_schema_name or target.schema }}{% endmacro %}"
    )
    (project / "models/mine.sql").write_text(
        "{{ config(schema='gold', alias='external_factors_daily', location_root='/tmp') }} select 1 as x"
    )
    damage = ("mine would write gold.external_factors_daily", "has its files elsewhere")
    control.objects(refused, damage=damage)
    (project / "models/mine.sql").write_text(
        "{{ config(unique_key='x', post_hook='delete from gold.x') }} select 1 as x"
    )
    control.objects(refused, damage="mine has hooks")
    with pytest.raises(UsageError):
        building.parse(marts)


def test_the_command_goes_on_in_this_environment_and_writes_documentation_that_loads_nothing(builds, tmp_path):
    """The product's own environment has no dbt: its command runs again in the one that has."""
    command = Path(sys.prefix).with_name(".venv") / "bin" / "correnteza"
    variables = {**os.environ, "CORRENTEZA_HOME": str(tmp_path)}
    told = subprocess.run([command, "marts", "docs"], env=variables, capture_output=True, text=True, check=True)
    page = Path(told.stdout.strip()).read_text(encoding="utf-8")
    assert "model.correnteza.climasalvador" in page
    assert "source.correnteza.gold.external_factors_daily" in page
    assert re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?https?://[^>]*>""", page) == []
