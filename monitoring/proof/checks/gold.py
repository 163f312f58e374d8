"""Gold follows from silver: each whole table is recomputed from the newest revisions, and compared number by number.

Rows that unread revisions may still change are left out. Numbers agree within a millionth: sums of floating-point
numbers depend on the order of their terms.
"""

from collections.abc import Callable
from datetime import datetime

from monitoring.lag import delta_log
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.gold_definition import Definition
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Evidence, Outcome, quoted, same

TOLERANCE = 1e-6
"""Relative tolerance for fractions, whose last digits depend on the order of a sum; whole numbers must be equal."""
_FRACTIONAL = ("DOUBLE", "FLOAT", "DECIMAL")
_HERE = "is on this side"


def checks() -> dict[str, Callable[[Evidence], Outcome]]:
    """Name of the check → function, one per table."""
    return {f"gold.{each.table} = batch(silver)": _check_of(each) for each in DEFINITIONS}


def _check_of(definition: Definition) -> Callable[[Evidence], Outcome]:
    return lambda evidence: check(evidence, definition)


def check(evidence: Evidence, definition: Definition) -> Outcome:
    """Compare one table with its definition."""
    outcome = Outcome()
    lake, table = evidence.lake, f"gold.{definition.table}"
    absent = [dataset for dataset in definition.datasets if not lake.has(f"silver.{dataset}_revisions")]
    progress = evidence.progress.get(table)
    if absent:
        outcome.notes.append(f"{', '.join(absent)} not in silver yet")
        return outcome
    if not lake.has(table):
        if progress is not None and progress.committed_batch is not None:
            outcome.add(table, f"the query has committed batch {progress.committed_batch}, but its table is gone")
        else:
            outcome.notes.append("the table does not exist yet")
        return outcome
    keys = definition.keys
    doubled = f"SELECT {quoted(keys)} FROM {table} GROUP BY ALL HAVING count(*) > 1"
    report(lake, outcome, table, doubled, "keys stand more than once")
    if not has_news(evidence, definition):
        return outcome
    evidence.with_reference.connection.execute(f"CREATE OR REPLACE TEMP TABLE computed AS {definition.query}")
    is_judged = judged(evidence, definition, outcome)
    stored, computed = (f'(SELECT *, 1 AS "{_HERE}" FROM {name} g WHERE {is_judged})' for name in (table, "computed"))
    sides = f"{stored} s FULL JOIN {computed} c ON {same(keys, 's', 'c')}"
    missing, extra = (f'{side}."{_HERE}" IS NULL' for side in "sc")
    # What can be wrong → the columns that are shown of it, and the rows where it is.
    wrong = {
        "rows are missing": (quoted(keys, "c"), missing),
        "rows should not be there": (quoted(keys, "s"), extra),
    }
    for column, kind in _columns(evidence, table, outcome):
        if column not in keys:
            values = f'{quoted(keys, "s")}, s."{column}" AS stored, c."{column}" AS computed'
            differ = f"NOT ({missing} OR {extra}) AND {differs(column, kind)}"
            wrong[f"values of {column} differ"] = (values, differ)
    # All is counted in one pass over both sides.
    counts = (f'count(*) FILTER (WHERE {where}) AS "{what}"' for what, (_, where) in wrong.items())
    (found,) = lake.rows(f'SELECT count(s."{_HERE}") AS "{_HERE}", {", ".join(counts)} FROM {sides}')
    outcome.rows = int(str(found[_HERE]))
    for what, (shown, where) in wrong.items():
        if found[what]:
            report(lake, outcome, table, f"SELECT {shown} FROM {sides} WHERE {where}", what)
    return outcome


def _columns(evidence: Evidence, table: str, outcome: Outcome) -> list[tuple[str, str]]:
    """Name and type of the columns that both sides have; a column on one side only is a finding."""
    described = {
        side: {str(row["column_name"]): str(row["column_type"]) for row in evidence.lake.rows(f"DESCRIBE {side}")}
        for side in (table, "computed")
    }
    stored, computed = described[table], described["computed"]
    if only := sorted(stored.keys() ^ computed.keys()):
        outcome.add(table, "columns are not those of the definition", only)
    return [(name, kind) for name, kind in stored.items() if name in computed]


def differs(column: str, kind: str) -> str:
    """A predicate on two joined rows `s` and `c`: whether they differ in a column; for fractions by more than the
    tolerance."""
    left, right = f's."{column}"', f'c."{column}"'
    if not kind.startswith(_FRACTIONAL):
        return f"{left} IS DISTINCT FROM {right}"
    distance = f"abs({left}::DOUBLE - {right}::DOUBLE)"
    allowed = f"{TOLERANCE} * greatest(1, abs({left}::DOUBLE), abs({right}::DOUBLE))"
    return f"(({left} IS NULL) <> ({right} IS NULL) OR {distance} > {allowed})"


def has_news(evidence: Evidence, definition: Definition) -> bool:
    """Whether anything that the table is made from was retrieved in the window."""
    return evidence.since is None or any(
        bool(evidence.lake.value(f"SELECT count(*) FROM {_in_window(evidence.since, dataset)}"))
        for dataset in definition.datasets
    )


def _in_window(since: datetime, dataset: str) -> str:
    return f"(FROM silver.{dataset}_revisions WHERE retrieved_at >= TIMESTAMPTZ '{since.isoformat()}')"


def judged(evidence: Evidence, definition: Definition, outcome: Outcome) -> str:
    """A predicate on rows `g`: affected by revisions of the window, and by none that the query has not read."""
    touched = [
        predicate.format(rows=_in_window(evidence.since, dataset))
        for dataset, predicate in definition.touched.items()
        if evidence.since is not None
    ]
    moving = [
        predicate.format(rows=rows)
        for dataset, predicate in definition.touched.items()
        if (rows := unread(evidence, definition, dataset, outcome)) is not None
    ]
    inside = " OR ".join(f"coalesce({each}, false)" for each in touched) or "true"
    outside = " OR ".join(f"coalesce({each}, false)" for each in moving) or "false"
    return f"({inside}) AND NOT ({outside})"


def unread(evidence: Evidence, definition: Definition, dataset: str, outcome: Outcome) -> str | None:
    """A relation of the revisions that the table's query has not committed; None when there are none."""
    progress = evidence.progress.get(f"gold.{definition.table}")
    if progress is None:
        return None  # there is no checkpoint (a copy of a lake): all rows must agree
    snapshot = evidence.lake.snapshots[f"silver.{dataset}_revisions"]
    behind = delta_log.unread(snapshot.path, progress.delta.get(snapshot.table_id))
    files = [name for name in behind.files if name not in snapshot.damaged_files]
    if not files:
        return None
    outcome.notes.append(f"{behind.records} revisions of {dataset} not yet read; the rows they may change are left out")
    return f"(FROM {evidence.lake.rows_of(snapshot, files)})"
