"""Current equals what the sources state now: per scope, the keys in current are those of the newest complete edition.

An edition's manifests say which scope it states in full (days of some datasets, of one station, series or point), and
its chunks hold the keys. Of all editions that state a day, the newest counts. A key in current that this edition lacks
should have been withdrawn; a key of the edition that current lacks was lost, unless it is in quarantine.

The day that a row belongs to is defined here again, in SQL, and not taken from the producers.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from monitoring import quarantine
from monitoring.proof.checks import external
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.model import Evidence, Outcome, quoted, same
from monitoring.proof.checks.settled import find_bounds
from schemas.contracts import Contract


@dataclass(frozen=True)
class Placed:
    """The columns that place a dataset's row in a scope.

    Attributes:
        day: SQL over its columns.
        where: the key column that distinguishes scopes of the same days.
    """

    day: str
    where: str | None = None


_SNAPSHOT = Placed("DATE '0001-01-01'")
_MONTHLY = Placed("reference_month_on")
# The last day of a month or quarter is the day before the next one begins. Table 5932 is quarterly.
_PERIOD_END = """CASE
    WHEN length(period_code) = 4 THEN make_date(period_code::INTEGER, 12, 31)
    ELSE (make_date(left(period_code, 4)::INTEGER, 1, 1)
          + to_months(right(period_code, 2)::INTEGER * CASE table_id WHEN 5932 THEN 3 ELSE 1 END)
          - INTERVAL 1 DAY)::DATE END"""

PLACED = {
    "anatel_base_stations": _SNAPSHOT,
    "anatel_broadband_accesses": _MONTHLY,
    "anatel_broadband_totals": _MONTHLY,
    "anatel_mobile_accesses": _MONTHLY,
    "bcb_focus": Placed("surveyed_on", "resource"),
    "bcb_ptax": Placed("left(quoted_at_local, 10)::DATE", "currency_code"),
    "bcb_sgs": Placed("reference_on", "series_code"),
    "ibge_municipalities": _SNAPSHOT,
    "ibge_sidra": Placed(_PERIOD_END, "table_id"),
    "inmet_hourly": Placed("(observed_at AT TIME ZONE 'UTC')::DATE", "station_code"),
    "inmet_stations": Placed("valid_from_on", "station_code"),
    "openmeteo_archive": Placed("(valid_at AT TIME ZONE 'UTC')::DATE", "point_id"),
}
"""Datasets whose editions state scopes. Forecasts have none: every issue is new, and no later one repeats it."""


def placed(contract: Contract) -> Placed | None:
    """By what a dataset's row is within a scope; None where no edition states one. A migrated file states its rows."""
    return Placed("DATE '0001-01-01'", "legacy_file") if contract.legacy is not None else PLACED.get(contract.name)


@dataclass(frozen=True)
class _Edition:
    """One edition, from its manifests."""

    number: int
    name: str
    scope: dict[str, object]
    clock: datetime
    chunks: list[str]
    is_whole: bool
    is_judged: bool
    held: int
    is_unknown: bool


def check(evidence: Evidence) -> Outcome:
    """Compare current with the newest complete edition of each scope that had a manifest in the window."""
    outcome = Outcome()
    external.say_left_out(evidence, outcome, "it is not compared with editions")
    if not evidence.lake.has("bronze.ingest_manifests"):
        return outcome
    manifests = evidence.topics.get("ingest.manifests")
    if manifests is not None and manifests.oldest_unread_at is not None:
        outcome.notes.append("manifests: bronze has not read all of them")
        return outcome
    editions = _editions(evidence)
    for each in editions:
        if each.is_judged and each.held:
            outcome.notes.append(f"{each.name}: {each.held} withdrawals are held: correnteza withdrawals list")
        if each.is_judged and each.is_unknown:
            outcome.notes.append(f"{each.name}: what it withdrew is unknown, its former payload is gone")
    for dataset, contract in evidence.datasets().items():
        if placed(contract) and evidence.lake.has(f"silver.{dataset}"):
            find_bounds(evidence, dataset)
            if evidence.lake.value("SELECT count(*) FROM unsettled"):
                outcome.notes.append(f"silver.{dataset} has not read all of bronze")
            else:
                _compare(evidence, contract, [each for each in editions if dataset in _datasets(each)], outcome)
    return outcome


def _datasets(edition: _Edition) -> list[str]:
    datasets = edition.scope["datasets"]
    assert isinstance(datasets, list)
    return datasets


def _editions(evidence: Evidence) -> list[_Edition]:
    rows = evidence.lake.rows(
        f"""
        SELECT source || ', ' || resource || ', ' || part_key || ', edition ' || edition AS name,
               arg_max(scope, "offset") AS scope, max(coalesce(published_at, retrieved_at)) AS clock,
               list(chunk_id) AS chunks, bool_or(is_last_of_part) AS is_whole, bool_or(judged) AS is_judged,
               coalesce(arg_max(withdrawals_held, "offset"), 0) AS held, bool_or(rows_withdrawn IS NULL) AS is_unknown
        FROM (SELECT unnest(record), "offset", {evidence.in_window()} AS judged
              FROM bronze.ingest_manifests WHERE decode_status = 'ok')
        WHERE scope IS NOT NULL GROUP BY source, resource, part_key, edition ORDER BY clock, name"""
    )
    return [
        _Edition(number, **(row | {"scope": json.loads(str(row["scope"]))}))  # type: ignore[arg-type]
        for number, row in enumerate(rows)
    ]


def _compare(evidence: Evidence, contract: Contract, editions: list[_Edition], outcome: Outcome) -> None:
    lake, dataset, how = evidence.lake, contract.name, placed(contract)
    assert how is not None
    if not any(each.is_judged for each in editions):
        return
    lake.connection.register("scope_editions", _stated(editions, how))
    lake.connection.register("scope_chunks", _chunks(editions))
    keys, where = quoted(contract.key), f'"{how.where}"::VARCHAR' if how.where else "NULL::VARCHAR"
    place = f"{where} AS w, {how.day} AS on_day"
    # Every key of the judged editions, and the newest edition of every day that one of them or current has.
    lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE held_keys AS
        SELECT edition, {keys}, {place}, topic_id, chunk_id, kafka_partition, kafka_offset FROM (
            SELECT c.edition, unnest(b.record), b.topic_id, b.partition AS kafka_partition, b."offset" AS kafka_offset
            FROM bronze.{dataset} b JOIN scope_chunks c ON c.chunk_id = b.record.chunk_id
            WHERE b.decode_status = 'ok');
        CREATE OR REPLACE TEMP TABLE current_keys AS SELECT {keys}, {place} FROM silver.{dataset};
        CREATE OR REPLACE TEMP TABLE newest AS
        SELECT d.w, d.on_day, max(e.edition) AS edition
        FROM (SELECT w, on_day FROM current_keys UNION SELECT w, on_day FROM held_keys) d
        JOIN scope_editions e ON e.w IS NOT DISTINCT FROM d.w AND d.on_day BETWEEN e.first AND e.last
        GROUP BY ALL HAVING arg_max(e.judged, e.edition)"""
    )
    outcome.rows += int(str(lake.value("SELECT count(*) FROM held_keys")))
    day = "n.w IS NOT DISTINCT FROM {0}.w AND n.on_day = {0}.on_day"
    report(
        lake,
        outcome,
        f"silver.{dataset}",
        f"""SELECT {quoted(contract.key, "c")} FROM current_keys c JOIN newest n ON {day.format("c")}
            WHERE NOT EXISTS (SELECT 1 FROM held_keys h WHERE h.edition = n.edition AND {same(contract.key, "h", "c")})
              AND NOT EXISTS (SELECT 1 FROM scope_chunks s WHERE s.edition = n.edition AND s.is_held)""",
        "keys stand that the newest edition of their scope no longer holds",
    )
    quarantined = "false"
    if lake.has(quarantine.TABLE):
        here = quarantine.is_of(
            "q", "h.kafka_partition", "h.kafka_offset", topic_id="h.topic_id", chunk_id="h.chunk_id"
        )
        entries = f"FROM {quarantine.entries(lake)} q WHERE q.dataset = '{dataset}'"
        quarantined = f"EXISTS (SELECT 1 {entries} AND {here})"
    report(
        lake,
        outcome,
        f"silver.{dataset}",
        f"""SELECT DISTINCT {quoted(contract.key, "h")} FROM held_keys h JOIN newest n
            ON n.edition = h.edition AND {day.format("h")}
            WHERE NOT EXISTS (SELECT 1 FROM current_keys c WHERE {same(contract.key, "c", "h")})
              AND NOT {quarantined}""",
        "keys of the newest edition of their scope are missing",
    )


def _stated(editions: list[_Edition], placed: Placed) -> pa.Table:
    """One row per range of days that an edition states. An edition is judged if it is complete and has a manifest in
    the window."""
    rows = []
    for each in editions:
        where, days = each.scope["where"], each.scope["days"]
        assert isinstance(where, dict)
        assert isinstance(days, list)
        value = str(where[placed.where]) if placed.where else None
        for first, last in days:
            judged = each.is_whole and each.is_judged
            stretch = {"first": date.fromisoformat(first), "last": date.fromisoformat(last)}
            rows.append({"edition": each.number, "w": value, "judged": judged, **stretch})
    return pa.Table.from_pylist(rows, pa.schema(_STATED))


_STATED = [
    ("edition", pa.int64()),
    ("w", pa.string()),
    ("first", pa.date32()),
    ("last", pa.date32()),
    ("judged", pa.bool_()),
]


def _chunks(editions: list[_Edition]) -> pa.Table:
    """The chunks of the judged editions."""
    rows = [
        {"edition": each.number, "chunk_id": chunk, "is_held": bool(each.held)}
        for each in editions
        if each.is_judged
        for chunk in each.chunks
    ]
    kinds = [("edition", pa.int64()), ("chunk_id", pa.string()), ("is_held", pa.bool_())]
    return pa.Table.from_pylist(rows, pa.schema(kinds))
