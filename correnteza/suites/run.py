"""Run the exported suites with Great Expectations in the Spark session of this process, on what changed.

Only the environment that `make company` makes has it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import great_expectations as gx
from great_expectations.checkpoint.actions import ValidationAction
from great_expectations.core.expectation_suite import ExpectationSuite
from pyspark.sql import SparkSession

from correnteza.suites.changed import WHOLE, rows_since
from correnteza.suites.export import CRITICAL, Suite, suites
from correnteza.suites.results import Result, Results
from foundation import clock
from foundation.errors import UnsafeState
from sinks import tables


class Keep(ValidationAction):  # type: ignore[misc]  # its base is not typed
    """Great Expectations has no store in a database any more: this action hands the results to ours."""

    type: Literal["keep"] = "keep"
    name: str = "keep"

    def run(self, checkpoint_result: Any, action_context: Any = None) -> dict[str, Any]:
        """Note the counts of every expectation on the results that wait for them."""
        for run in checkpoint_result.run_results.values():
            _waiting[run.suite_name] = [_counts(each) for each in run.results]
        return {}


_waiting: dict[str, list[tuple[Suite, int]]] = {}
"""Suite → (its expectation, rows that break it), from the action to the caller."""


def run(spark: SparkSession, lake: str, names: Iterable[str], database: str) -> list[Result]:
    """Judge the version that each table has now, unless it was judged before; only rows since the version judged last.

    After a critical failure the next run reads the whole table: the row that broke it may still be there.

    Args:
        names: of tables (`<layer>.<name>`); those without a suite or without a table are left out.
        database: SQLAlchemy's URL.

    Returns: the results of the newest version of each.
    """
    found: list[Result] = []
    declared = suites()
    results = Results(database)
    try:
        for name in sorted({*names} & declared.keys()):
            path = tables.path_of(lake, name)
            if tables.exists(path):
                found += _judged(spark, path, declared[name], results)
    finally:
        results.close()
    return found


def require_sound(results: Sequence[Result]) -> None:
    """Raises: UnsafeState when a row breaks a critical expectation."""
    broken = [each for each in results if each.severity == CRITICAL and each.broken]
    if broken:
        told = "; ".join(
            f"{each.table_name}: {each.broken} of {each.rows} rows break {each.expectation}" for each in broken
        )
        raise UnsafeState(told, hint="correnteza quality run-gx, correnteza verify; then correnteza marts build")


def _judged(spark: SparkSession, path: str, suite: Suite, results: Results) -> list[Result]:
    name, version = str(suite["name"]), tables.version(path)
    last = results.newest(name)
    if last and last[0].version == version:
        return last
    sound = last and not any(each.severity == CRITICAL and each.broken for each in last)
    rows, base = rows_since(spark, path, last[0].version if sound else WHOLE, version)
    at = clock.now()
    counted = [
        Result(name, version, each["meta"]["name"], base, each["severity"], judged, broken, at)
        for each, judged, broken in _counted(rows, suite)
    ]
    return counted if results.keep(counted) else results.newest(name)


def _counted(rows: Any, suite: Suite) -> list[tuple[Suite, int, int]]:
    """Each expectation with the rows that were judged, and those that break it."""
    total = rows.count()
    if not total:
        return [(each, 0, 0) for each in suite["expectations"]]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    added = context.suites.add(ExpectationSuite(**suite))
    batch = (
        context.data_sources.add_spark("lake").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    )
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="rows", data=batch, suite=added))
    checkpoint = gx.Checkpoint(
        name="rows", validation_definitions=[definition], actions=[Keep()], result_format="SUMMARY"
    )
    context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": rows})
    return [(each, total, broken) for each, broken in _waiting.pop(str(suite["name"]))]


def _counts(result: Any) -> tuple[Suite, int]:
    """One expectation, and how many rows break it. Raises: UnsafeState when it could not be evaluated."""
    config = result.expectation_config
    told = result.result
    counted = told.get("unexpected_count", told.get("observed_value"))
    if not isinstance(counted, int):
        raise UnsafeState(f"{config.meta['name']} could not be evaluated: {str(result.exception_info)[:500]}")
    severity = getattr(config.severity, "value", config.severity)
    expectation = {"meta": dict(config.meta), "severity": severity}
    return expectation, counted
