"""Silver follows from bronze: recomputed from every decoded record at once, in DuckDB's SQL, and compared.

Incremental silver may hold a version that a late one has made redundant, so both sides are compared *collapsed*: a
version equal to the one before it in time is left out. Records that the silver query has not committed are left out of
both sides; they are lag. So are originals of dead letters that are closed: their copies stand for them.
"""

import pyarrow as pa

from monitoring.checks.compare import difference, report
from monitoring.checks.model import Evidence, Outcome, broken_rules, quoted, same
from monitoring.checks.redrives import REDRIVES, closed_originals, is_read
from monitoring.checks.settled import find_bounds, settled
from schemas.arrow import arrow_schema
from schemas.contracts import PROVENANCE, Contract

PLACE = ("known_from", *PROVENANCE, "kafka_partition", "kafka_offset")


def check_keys(evidence: Evidence) -> Outcome:
    """Keys are unique in current, (key, known_from) in revisions, and current is the newest of revisions."""
    outcome = Outcome()
    for dataset, contract in _started(evidence, outcome).items():
        if _is_idle(evidence, dataset):
            continue
        lake, revisions, current = evidence.lake, f"silver.{dataset}_revisions", f"silver.{dataset}"
        find_bounds(evidence, dataset)
        keys, window = quoted(contract.key), _retrieved_in_window(evidence)
        outcome.rows += int(str(lake.value(f"SELECT count(*) FROM {revisions} WHERE {window}")))
        for table, columns in ((current, keys), (revisions, f"{keys}, known_from")):
            doubled = f"SELECT {columns} FROM {table} WHERE {window} GROUP BY ALL HAVING count(*) > 1"
            report(evidence.lake, outcome, table, doubled, "keys stand more than once")

        columns = _columns(contract)
        # Keys with a version that current has not committed yet; revisions are written before it.
        moving = f"SELECT {keys} FROM {revisions} r WHERE NOT {settled('r')}"
        newest = f"""
            SELECT {columns} FROM {revisions} {_of_touched_keys(evidence, contract)}
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_from DESC, kafka_offset DESC) = 1"""
        here = f"SELECT a.* FROM (%s) a ANTI JOIN ({moving}) m ON {same(contract.key, 'a', 'm')} WHERE {window}"
        stored, expected = here % f"SELECT {columns} FROM {current}", here % newest
        difference(lake, outcome, current, contract.key, expected=expected, stored=stored, of="newest of the revisions")
    return outcome


def check_batch(evidence: Evidence) -> Outcome:
    """Revisions and quarantine are what one batch over bronze gives."""
    outcome = Outcome()
    if not is_read(evidence, REDRIVES):
        outcome.notes.append("dead letters are being closed: silver is compared once bronze has read of it")
        return outcome
    for dataset, contract in _started(evidence, outcome).items():
        if _is_idle(evidence, dataset):
            continue
        find_bounds(evidence, dataset)
        closed_originals(evidence, dataset)
        _decode(evidence, contract)
        _judge(evidence, contract)
        outcome.rows += int(str(evidence.lake.value("SELECT count(*) FROM judged")))
        _compare_revisions(evidence, contract, outcome)
        _compare_quarantine(evidence, contract, outcome)
    return outcome


def _started(evidence: Evidence, outcome: Outcome) -> dict[str, Contract]:
    """Datasets whose silver tables must exist: their query has committed a batch, or the tables are there."""
    found = {}
    for dataset, contract in evidence.datasets().items():
        tables = (f"silver.{dataset}", f"silver.{dataset}_revisions")
        progress = evidence.progress.get(f"silver.{dataset}")
        if evidence.lake.has(*tables):
            found[dataset] = contract
        elif progress is not None and progress.committed_batch is not None:
            outcome.add(tables[0], f"the query has committed batch {progress.committed_batch}, but its tables are gone")
        else:
            outcome.notes.append(f"{tables[0]} does not exist yet")
    return found


def _retrieved_in_window(evidence: Evidence) -> str:
    """Silver has no Kafka timestamp: what was retrieved in the window is what bronze got in it."""
    return "true" if evidence.since is None else f"retrieved_at >= TIMESTAMPTZ '{evidence.since.isoformat()}'"


def _is_idle(evidence: Evidence, dataset: str) -> bool:
    """Whether the window has no row of a dataset, neither in bronze nor in silver: then nothing is judged."""
    if evidence.since is None:
        return False
    window = _retrieved_in_window(evidence)
    tables = {f"bronze.{dataset}": evidence.in_window()}
    tables |= {f"silver.{dataset}": window, f"silver.{dataset}_revisions": window}
    return not any(evidence.lake.value(f"SELECT count(*) FROM {table} WHERE {rows}") for table, rows in tables.items())


def _of_touched_keys(evidence: Evidence, contract: Contract) -> str:
    """A join that leaves the revisions of keys that have a row in the window, in either table."""
    if evidence.since is None:
        return ""
    keys, window = quoted(contract.key), _retrieved_in_window(evidence)
    touched = " UNION ".join(
        f"SELECT {keys} FROM silver.{table} WHERE {window}" for table in (contract.name, f"{contract.name}_revisions")
    )
    return f"SEMI JOIN ({touched}) USING ({keys})"


def _decode(evidence: Evidence, contract: Contract) -> None:
    """Table `decoded`: settled records that decoded, of every key that the window touches, with all its history."""
    fields = ", ".join(f'record."{name}" AS "{name}"' for name in contract.fields)
    keys = ", ".join(f'record."{name}" AS "{name}"' for name in contract.key)
    touched = (
        f"SELECT DISTINCT {keys} FROM bronze.{contract.name} WHERE decode_status = 'ok' AND {evidence.in_window()}"
    )
    restrict = "" if evidence.since is None else f"SEMI JOIN ({touched}) t ON {same(contract.key, 'd', 't')}"
    evidence.lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE decoded AS
        SELECT d.* FROM (
            SELECT {fields}, coalesce(record.published_at, record.retrieved_at) AS known_from,
                   topic, partition AS kafka_partition, "offset" AS kafka_offset
            FROM bronze.{contract.name} b WHERE decode_status = 'ok' AND NOT EXISTS (
                SELECT 1 FROM closed_originals c
                WHERE c.topic_id = b.topic_id AND c.p = b.partition AND c.o = b."offset")
        ) d {restrict} WHERE {settled("d")}"""
    )


def _judge(evidence: Evidence, contract: Contract) -> None:
    """Table `judged`: `decoded` with the rules that each row breaks, conflicting versions included."""
    keys, values = quoted(contract.key), _values(contract)
    broken = broken_rules(evidence.rules.get(contract.name, ()))
    evidence.lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE judged AS
        WITH ruled AS (
            SELECT *, {broken} AS rules FROM decoded
        ), standing AS (
            SELECT *, first_value({values}) OVER same_instant AS stands, row_number() OVER same_instant AS place
            FROM ruled WINDOW same_instant AS (PARTITION BY {keys}, known_from, len(rules) = 0 ORDER BY kafka_offset)
        )
        SELECT * EXCLUDE (rules, stands, place), place = 1 AS is_version,
               CASE WHEN len(rules) = 0 AND stands IS DISTINCT FROM {values} THEN ['conflicting_version']
                    ELSE list_sort(rules) END AS rules
        FROM standing"""
    )


def _compare_revisions(evidence: Evidence, contract: Contract, outcome: Outcome) -> None:
    revisions = f"silver.{contract.name}_revisions"
    expected = "FROM judged WHERE is_version AND len(rules) = 0"
    restrict = "" if evidence.since is None else f"SEMI JOIN decoded t ON {same(contract.key, 'r', 't')}"
    stored = f"SELECT r.* FROM {revisions} r {restrict} WHERE {settled('r')}"
    lake = evidence.lake
    for name, rows in (("expected", expected), ("stored", stored)):
        changes = f"SELECT * FROM ({rows}) QUALIFY {_is_change(contract)}"
        lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {_columns(contract)} FROM ({changes})")
    keys = (*contract.key, "known_from")
    difference(lake, outcome, revisions, keys, expected="FROM expected", stored="FROM stored", of="batch over bronze")


def _is_change(contract: Contract) -> str:
    """A window predicate: the row differs from the version before it in time."""
    in_time = f"(PARTITION BY {quoted(contract.key)} ORDER BY known_from, kafka_offset)"
    is_first = f"row_number() OVER {in_time} = 1"
    return f"({is_first} OR lag({_values(contract)}) OVER {in_time} IS DISTINCT FROM {_values(contract)})"


def _columns(contract: Contract) -> str:
    """A select list of what is compared: the key, the values and the place."""
    values = (f'{_comparable(contract, name)} AS "{name}"' for name in contract.value_fields)
    return ", ".join((quoted(contract.key), *values, quoted(PLACE)))


def _values(contract: Contract) -> str:
    return (
        "struct_pack(" + ", ".join(f'"{each}" := {_comparable(contract, each)}' for each in contract.value_fields) + ")"
    )


def _comparable(contract: Contract, field: str) -> str:
    """A map as its entries in order: in another order they are the same value, but DuckDB compares maps as lists."""
    is_map = pa.types.is_map(arrow_schema(contract).field(field).type)
    return f'list_sort(map_entries("{field}"))' if is_map else f'"{field}"'


def _compare_quarantine(evidence: Evidence, contract: Contract, outcome: Outcome) -> None:
    lake = evidence.lake
    places = "SELECT kafka_partition, kafka_offset"
    lake.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE expected AS {places}, rules FROM judged WHERE len(rules) > 0"
    )
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE stored AS FROM expected LIMIT 0")
    if lake.has("silver.quarantine"):
        restrict = "" if evidence.since is None else "SEMI JOIN decoded t USING (kafka_partition, kafka_offset)"
        lake.connection.execute(
            f"INSERT INTO stored {places}, list_sort(rules) FROM silver.quarantine q {restrict}"
            f" WHERE q.dataset = ? AND {settled('q')} AND NOT EXISTS (SELECT 1 FROM closed_originals c"
            " WHERE c.p = q.kafka_partition AND c.o = q.kafka_offset AND c.chunk_id = q.chunk_id)",
            [contract.name],
        )
    where = f"silver.quarantine ({contract.name})"
    keys = ("kafka_partition", "kafka_offset")
    doubled = f"{places} FROM stored GROUP BY ALL HAVING count(*) > 1"
    report(lake, outcome, where, doubled, "records stand more than once")
    difference(lake, outcome, where, keys, expected="FROM expected", stored="FROM stored", of="batch over bronze")
