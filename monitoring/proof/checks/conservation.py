"""No record disappears: every record read is decoded or kept as undecodable, every decoded row is in silver or
quarantine.

And every closing record of a dead letter (docs/adr/0014) names an original that was a dead letter, and a copy that
exists.
"""

from monitoring import quarantine
from monitoring.lag.status import bronze_table
from monitoring.proof.checks import erasures
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.external import chunk_of
from monitoring.proof.checks.model import Evidence, Outcome, quoted, same
from monitoring.proof.checks.redrives import closed_originals, is_read
from monitoring.proof.checks.settled import find_bounds, settled
from monitoring.undecodable import UNDECODABLE

_CLOSINGS = "bronze.ingest_redrives"
_UNDECODABLE = ", ".join(f"'{status}'" for status in UNDECODABLE)


def check(evidence: Evidence) -> Outcome:
    """Count the rows of every bronze table, and check every closing record."""
    outcome = Outcome()
    for contract in evidence.contracts.values():
        table = f"bronze.{bronze_table(contract)}"
        if evidence.lake.has(table):
            outcome.rows += _require_kinds(evidence, outcome, table)
    for dataset in evidence.datasets():
        _require_in_silver(evidence, outcome, dataset)
        _require_closed_once(evidence, outcome, dataset)
    return outcome


def _require_kinds(evidence: Evidence, outcome: Outcome, table: str) -> int:
    """Rows read = decoded + undecodable, with their bytes + tombstones."""
    rows = f'SELECT partition, "offset" FROM {table} WHERE {evidence.in_window()} AND '
    for failing, what in (
        (f"decode_status NOT IN ('ok', 'tombstone', {_UNDECODABLE})", "rows have a decode status that nobody knows"),
        ("decode_status = 'ok' AND record IS NULL", "rows count as decoded and hold no record"),
        (f"decode_status IN ({_UNDECODABLE}) AND value IS NULL", "rows did not decode and have lost their bytes"),
    ):
        report(evidence.lake, outcome, table, rows + failing, what)
    return int(str(evidence.lake.value(f"SELECT count(*) FROM {table} WHERE {evidence.in_window()}")))


def _require_in_silver(evidence: Evidence, outcome: Outcome, dataset: str) -> None:
    """Decoded rows = versions + repetitions of a version + quarantined rows: no key and no row is lost."""
    lake, revisions = evidence.lake, f"silver.{dataset}_revisions"
    if not lake.has(revisions):
        return
    find_bounds(evidence, dataset)
    contract = evidence.contracts[dataset]
    keys, chunk_id = contract.key, chunk_of(contract, "record")
    fields = ", ".join(f'record."{name}" AS "{name}"' for name in keys)
    decoded = f"""
        SELECT {fields}, topic_id, {chunk_id} AS chunk_id, partition AS kafka_partition, "offset" AS kafka_offset
        FROM bronze.{dataset}
        WHERE decode_status = 'ok' AND {evidence.in_window()}"""
    aside = ""
    if lake.has(quarantine.TABLE):
        here = quarantine.is_of(
            "q", "d.kafka_partition", "d.kafka_offset", topic_id="d.topic_id", chunk_id="d.chunk_id"
        )
        entries = f"FROM {quarantine.entries(lake)} q WHERE q.dataset = '{dataset}'"
        aside = f"AND NOT EXISTS (SELECT 1 {entries} AND {here})"
    lost = f"""
        SELECT {quoted(keys, "d")}, d.kafka_partition, d.kafka_offset FROM ({decoded}) d
        ANTI JOIN (SELECT DISTINCT {quoted(keys)} FROM {revisions}) r ON {same(keys, "d", "r")}
        WHERE {settled("d", is_withdrawn="false")} {aside}"""
    report(lake, outcome, f"silver.{dataset}", lost, "decoded rows are neither in revisions nor in quarantine")


def _require_closed_once(evidence: Evidence, outcome: Outcome, dataset: str) -> None:
    if not evidence.lake.has(_CLOSINGS):
        return
    lake = evidence.lake
    place = 'record.topic_id AS topic_id, record.partition AS partition, record."offset" AS "offset"'
    closings = f"""
        SELECT {place}, record.reason AS reason, record.action AS action, record.new_partition AS new_partition,
               record.new_offset AS new_offset
        FROM {_CLOSINGS} WHERE decode_status = 'ok' AND record.dataset = '{dataset}'"""
    here = 'topic_id, partition, "offset"'
    twice = f"SELECT {here} FROM ({closings}) GROUP BY ALL HAVING count(*) > 1"
    report(lake, outcome, _CLOSINGS, twice, f"dead letters of {dataset} are closed more than once")

    closed_originals(evidence, dataset)
    letters = f"SELECT {here} FROM bronze.{dataset} WHERE decode_status IN ({_UNDECODABLE})"
    letters += erasures.places(lake, here, dataset)
    if lake.has(quarantine.TABLE):
        of_original = quarantine.is_of("q", "o.p", "o.o", topic_id="o.topic_id", chunk_id="o.chunk_id")
        letters += f"""
            UNION SELECT o.topic_id, o.p, o.o FROM closed_originals o JOIN {quarantine.entries(lake)} q
            ON q.dataset = '{dataset}' AND {of_original}"""
    unfounded = f"SELECT {here} FROM ({closings}) ANTI JOIN ({letters}) USING ({here})"
    report(lake, outcome, _CLOSINGS, unfounded, f"closing records name no dead letter of {dataset}")

    copies = f'SELECT partition AS new_partition, "offset" AS new_offset FROM bronze.{dataset}'
    copies += erasures.places(lake, 'partition, "offset"', dataset)
    gone = f"""
        SELECT {here}, new_partition, new_offset FROM ({closings} AND record.action = 'redriven')
        ANTI JOIN ({copies}) USING (new_partition, new_offset)"""
    # A copy that bronze has not read yet is lag: both topics were written in one transaction, but are read separately.
    if is_read(evidence, dataset):
        report(lake, outcome, _CLOSINGS, gone, f"redriven letters of {dataset} have no copy in bronze")
    elif lake.value(f"SELECT count(*) FROM ({gone})"):
        outcome.notes.append(f"copies of {dataset} that bronze has not read yet")
