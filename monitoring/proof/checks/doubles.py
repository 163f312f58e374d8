"""Nothing is twice in bronze: no (topic id, partition, offset), and no row of a chunk."""

from monitoring.lag.status import bronze_table
from monitoring.proof.checks import external
from monitoring.proof.checks.compare import report
from monitoring.proof.checks.manifests import WITHDRAWALS
from monitoring.proof.checks.model import Evidence, Outcome
from monitoring.proof.checks.redrives import REDRIVES, is_read, uncounted_copies


def check(evidence: Evidence) -> Outcome:
    """Count coordinates and chunk rows in every bronze table.

    A wide row of a source gives several records with one row number and different keys. The copy of a quarantined row
    repeats the row on purpose.
    """
    outcome = Outcome()
    external.say_left_out(evidence, outcome, "rows of a chunk are not counted")
    for contract in evidence.contracts.values():
        table = f"bronze.{bronze_table(contract)}"
        if not evidence.lake.has(table):
            continue
        outcome.rows += int(str(evidence.lake.value(f"SELECT count(*) FROM {table} WHERE {evidence.in_window()}")))
        _count(evidence, outcome, table, "coordinates", 'topic_id, topic, partition, "offset"')
        if contract.name == WITHDRAWALS:
            columns = "record.chunk_id AS chunk_id, record.row_number AS row_number"
            _count(evidence, outcome, table, "rows of a chunk", columns, where="decode_status = 'ok'")
        if contract.is_dataset and not contract.external:
            if not is_read(evidence, REDRIVES):
                outcome.notes.append(f"{table}: dead letters are being closed; bronze has not read all of it")
                continue
            columns = "record.chunk_id AS chunk_id, record.row_number AS row_number, key"
            counted = f"decode_status = 'ok' AND {uncounted_copies(evidence, contract.name, 't')}"
            _count(evidence, outcome, table, "rows of a chunk", columns, where=counted)
    return outcome


def _count(evidence: Evidence, outcome: Outcome, table: str, what: str, columns: str, *, where: str = "true") -> None:
    doubled = f"""
        SELECT {columns}, count(*) AS times FROM {table} t WHERE {where} AND {evidence.in_window()}
        GROUP BY ALL HAVING count(*) > 1"""
    report(evidence.lake, outcome, table, doubled, f"{what} stand more than once")
