"""Silver follows from bronze: recomputed from every decoded record and withdrawal at once, in DuckDB, and compared.

Keys with a row that the silver query has not committed are left out of both sides; they are lag, and for late rows
silver may be ahead. Originals of closed dead letters are left out, because their copies replace them.
"""

import pyarrow as pa

from monitoring import quarantine
from monitoring.lag.inputs import WITHDRAWALS
from monitoring.proof.checks import external
from monitoring.proof.checks.compare import difference, report
from monitoring.proof.checks.model import Evidence, Outcome, broken_rules, quoted, same
from monitoring.proof.checks.redrives import REDRIVES, closed_originals, is_read
from monitoring.proof.checks.settled import find_bounds, settled
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
            SELECT {columns} FROM (
                SELECT r.* FROM {revisions} r {_of_touched_keys(evidence, contract)}
                QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_from DESC, kafka_offset DESC) = 1
            ) WHERE is_withdrawn IS NOT TRUE"""
        here = f"SELECT a.* FROM (%s) a ANTI JOIN ({moving}) m ON {same(contract.key, 'a', 'm')} WHERE {window}"
        stored, expected = here % f"SELECT {columns} FROM {current}", here % newest
        difference(lake, outcome, current, contract.key, expected=expected, stored=stored, of="newest of the revisions")
    return outcome


def check_batch(evidence: Evidence) -> Outcome:
    """Revisions and quarantine equal the result of one batch over bronze."""
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
    """A predicate on silver for the window. Silver has no Kafka timestamp, so it uses the retrieval times of bronze's
    rows in the window."""
    return "true" if evidence.since is None else f"retrieved_at >= TIMESTAMPTZ '{evidence.since.isoformat()}'"


def _is_idle(evidence: Evidence, dataset: str) -> bool:
    """Whether the window has no row of a dataset, neither in bronze nor in silver: then nothing is judged."""
    if evidence.since is None:
        return False
    window = _retrieved_in_window(evidence)
    tables = {f"bronze.{dataset}": evidence.in_window()}
    if evidence.lake.has(WITHDRAWALS):
        tables[WITHDRAWALS] = f"{evidence.in_window()} AND record.dataset = '{dataset}'"
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
    # Not USING: a key with a null would be on one side only, and look like a surplus row of current.
    return f"SEMI JOIN ({touched}) t ON {same(contract.key, 'r', 't')}"


def _rows(evidence: Evidence, contract: Contract) -> str:
    """SQL for a dataset's records that decoded, and its withdrawals."""
    if contract.external is not None:
        return f"""
        SELECT * FROM ({external.rows(contract, contract.external, evidence.in_window())}) b WHERE NOT EXISTS (
            SELECT 1 FROM closed_originals c
            WHERE c.topic_id = b.topic_id AND c.p = b.kafka_partition AND c.o = b.kafka_offset)"""
    place = 'topic_id, topic, partition AS kafka_partition, "offset" AS kafka_offset'
    clock = "coalesce(record.published_at, record.retrieved_at) AS known_from"
    fields = ", ".join(f'record."{name}" AS "{name}"' for name in contract.fields)
    parts = [
        f"""
        SELECT {fields}, {clock}, {place}, false AS is_withdrawn, {evidence.in_window()} AS in_window
        FROM bronze.{contract.name} b WHERE decode_status = 'ok' AND NOT EXISTS (
            SELECT 1 FROM closed_originals c
            WHERE c.topic_id = b.topic_id AND c.p = b.partition AND c.o = b."offset")"""
    ]
    if evidence.lake.has(WITHDRAWALS):
        told = [_of_withdrawal(contract, name) for name in contract.fields]
        parts.append(
            f"""
            SELECT {", ".join(told)}, {clock}, {place}, true AS is_withdrawn, {evidence.in_window()} AS in_window
            FROM {WITHDRAWALS} WHERE decode_status = 'ok' AND record.dataset = '{contract.name}'"""
        )
    return " UNION ALL BY NAME ".join(parts)


def _decode(evidence: Evidence, contract: Contract) -> None:
    """Tables `decoded`: records that decoded and withdrawals, of every key that the window touches, with all its
    history; and `moving`: the keys among them that have a row which silver has not committed."""
    connection, keys = evidence.lake.connection, quoted(contract.key)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS {_rows(evidence, contract)}")
    if evidence.since is not None:
        touched = f"SELECT DISTINCT {keys} FROM decoded WHERE in_window"
        on = same(contract.key, "d", "t")
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE decoded AS SELECT d.* FROM decoded d SEMI JOIN ({touched}) t ON {on}"
        )
    moving = f"SELECT DISTINCT {keys} FROM decoded d WHERE NOT {settled('d')}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE moving AS {moving}")


def _of_withdrawal(contract: Contract, name: str) -> str:
    """SQL for a field of a dataset's record in a withdrawal: the key from its text, no values, its own clocks."""
    if name in PROVENANCE:
        return f'record."{name}" AS "{name}"'
    schema = arrow_schema(contract)
    if name not in contract.key:
        return f'NULL AS "{name}"'
    return f"CAST(record.key_fields['{name}'] AS {_sql_type(schema.field(name).type)}) AS \"{name}\""


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_date(kind):
        return "DATE"
    return "BIGINT" if pa.types.is_integer(kind) else "VARCHAR"


def _judge(evidence: Evidence, contract: Contract) -> None:
    """Table `judged`: `decoded` with the rules that each row breaks, conflicting versions included.

    Of a key's rows with one clock only the first counts, values before a withdrawal; but the last one, whatever it is,
    where the clock is Kafka's of a topic of others: then none conflicts. A row is a version if it differs from the
    version before it; a withdrawal counts as no value, but there it is a version if it comes first.
    """
    by_kafka = contract.external is not None and contract.external.is_by_kafka
    order = "kafka_offset DESC" if by_kafka else "is_withdrawn, kafka_offset"
    comes_first = "lag(1) OVER eligible IS NULL" if by_kafka else "false"
    contradicts = "false" if by_kafka else "stands IS DISTINCT FROM said"
    keys, values = quoted(contract.key), _values(contract)
    broken = broken_rules(evidence.rules.get(contract.name, ()))
    evidence.lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE judged AS
        WITH ruled AS (
            SELECT * EXCLUDE (in_window), CASE WHEN is_withdrawn THEN [] ELSE {broken} END AS rules,
                   CASE WHEN NOT is_withdrawn THEN {values} END AS said
            FROM decoded
        ), standing AS (
            SELECT *, first_value(said) OVER same_instant AS stands, row_number() OVER same_instant = 1 AS is_first
            FROM ruled WINDOW same_instant AS (
                PARTITION BY {keys}, known_from, len(rules) = 0
                ORDER BY {order}, kafka_partition)
        )
        SELECT * EXCLUDE (rules, stands, said, is_first),
               is_first AND len(rules) = 0
                   AND (said IS DISTINCT FROM lag(said) OVER eligible OR {comes_first}) AS is_version,
               CASE WHEN len(rules) = 0 AND NOT is_withdrawn AND {contradicts}
                    THEN ['conflicting_version'] ELSE list_sort(rules) END AS rules
        FROM standing WINDOW eligible AS (PARTITION BY {keys}, is_first AND len(rules) = 0 ORDER BY known_from)"""
    )


def _compare_revisions(evidence: Evidence, contract: Contract, outcome: Outcome) -> None:
    revisions, lake = f"silver.{contract.name}_revisions", evidence.lake
    columns, join = f"{_columns(contract)}, is_withdrawn IS TRUE AS is_withdrawn", _settled_keys(contract)
    restrict = "" if evidence.since is None else f"SEMI JOIN decoded t ON {same(contract.key, 'r', 't')}"
    for name, rows in (
        ("expected", f"SELECT r.* FROM judged r {join} WHERE r.is_version"),
        ("stored", f"SELECT r.* FROM {revisions} r {restrict} {join}"),
    ):
        lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM ({rows})")
    keys = (*contract.key, "known_from")
    difference(lake, outcome, revisions, keys, expected="FROM expected", stored="FROM stored", of="batch over bronze")


def _settled_keys(contract: Contract) -> str:
    """A join that leaves the rows `r` of keys that silver has read to the end."""
    return f"ANTI JOIN moving m ON {same(contract.key, 'r', 'm')}"


def _columns(contract: Contract) -> str:
    """A select list of the compared columns: the key, the values and the place."""
    values = (f'{_comparable(contract, name)} AS "{name}"' for name in contract.value_fields)
    return ", ".join((quoted(contract.key), *values, quoted(PLACE)))


def _values(contract: Contract) -> str:
    return (
        "struct_pack(" + ", ".join(f'"{each}" := {_comparable(contract, each)}' for each in contract.value_fields) + ")"
    )


def _comparable(contract: Contract, field: str) -> str:
    """A map as its sorted entries: the order does not matter for a map, but DuckDB compares maps as lists."""
    is_map = pa.types.is_map(arrow_schema(contract).field(field).type)
    return f'list_sort(map_entries("{field}"))' if is_map else f'"{field}"'


def _compare_quarantine(evidence: Evidence, contract: Contract, outcome: Outcome) -> None:
    lake = evidence.lake
    places, here = "topic_id, kafka_partition, kafka_offset", "(kafka_partition, kafka_offset)"
    rows = f"FROM judged r {_settled_keys(contract)}"
    lake.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE expected AS SELECT {places}, rules {rows} WHERE len(rules) > 0"
    )
    lake.connection.execute("CREATE OR REPLACE TEMP TABLE stored AS FROM expected LIMIT 0")
    where = f"silver.quarantine ({contract.name})"
    if lake.has(quarantine.TABLE):
        moving = f"{here} IN (SELECT {here} FROM decoded r SEMI JOIN moving m ON {same(contract.key, 'r', 'm')})"
        restrict = "" if evidence.since is None else "SEMI JOIN decoded t USING (kafka_partition, kafka_offset)"
        lake.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE aside AS SELECT q.* FROM {quarantine.entries(lake)} q {restrict}"
            f" WHERE q.dataset = ? AND NOT {moving} AND {settled('q', is_withdrawn='false')}"
            f" AND NOT EXISTS (SELECT 1 FROM closed_originals c WHERE {_of_original()})",
            [contract.name],
        )
        doubled = f"SELECT {places}, chunk_id FROM aside GROUP BY ALL HAVING count(*) > 1"
        report(lake, outcome, where, doubled, "records stand more than once")
        # An entry without a topic id counts for its record in every topic of that name that published the chunk.
        of_record = quarantine.is_of(
            "q", "r.kafka_partition", "r.kafka_offset", topic_id="r.topic_id", chunk_id="r.chunk_id"
        )
        lake.connection.execute(
            "INSERT INTO stored SELECT coalesce(q.topic_id, r.topic_id), q.kafka_partition, q.kafka_offset,"
            f" list_sort(q.rules) FROM aside q LEFT JOIN judged r ON NOT r.is_withdrawn AND {of_record}"
        )
    keys = ("kafka_partition", "kafka_offset")
    difference(lake, outcome, where, keys, expected="FROM expected", stored="FROM stored", of="batch over bronze")


def _of_original() -> str:
    return quarantine.is_of("q", "c.p", "c.o", topic_id="c.topic_id", chunk_id="c.chunk_id")
