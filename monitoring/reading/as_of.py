"""A dataset as it was known at an instant, and every version that a key ever had."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.proof.checks.model import quoted
from schemas.contracts import Contract


def instant(text: str) -> datetime:
    """Parse an instant. A date means the end of that UTC day; a time without a zone is UTC.

    Raises:
        UsageError: it is neither a date nor a timestamp.
    """
    try:
        if len(text) == len("2024-12-31"):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day + timedelta(days=1) - timedelta(microseconds=1)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is neither a date nor a timestamp", hint="2024-12-31 or 2024-12-31T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_of(
    lake: Lake, contract: Contract, at: datetime, *, where: str | None = None, measured_only: bool = False
) -> pa.Table:
    """One row per key that was not withdrawn, ordered by key.

    Args:
        where: SQL predicate on the resulting rows.
        measured_only: leave out versions whose publication clock was assumed and not measured.

    Raises:
        UsageError: silver holds no such dataset, or the predicate is wrong.
    """
    table = f"silver.{contract.name}_revisions"
    if not lake.has(table):
        raise UsageError(f"{table} does not exist yet", hint="correnteza status")
    keys = quoted(contract.key)
    measured = "AND published_at_basis <> 'assumed_lag'" if measured_only else ""
    newest = f"""
        SELECT * FROM {table} WHERE known_from <= ? {measured}
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_from DESC, kafka_offset DESC) = 1"""
    standing = f"SELECT * EXCLUDE (is_withdrawn) FROM ({newest}) WHERE is_withdrawn IS NOT TRUE"
    return lake.sql(f"SELECT * FROM ({standing}) WHERE {where or 'true'} ORDER BY {keys}", [at])


def revisions(lake: Lake, contract: Contract, key: Mapping[str, str]) -> pa.Table:
    """Every version of one key, in the order in which they became known.

    Args: key: each key column and its value as text; an empty text means null.
    Returns: known_from, published_at, published_at_basis, retrieved_at, the value columns, `is_withdrawn` (the row says
        that the source withdrew the key; its values are null), `changed` (names of the values that differ from the
        version before; null in the first), kafka_partition, kafka_offset, chunk_id.

    Raises:
        UsageError: silver holds no such dataset, or the key is not the dataset's.
    """
    table = f"silver.{contract.name}_revisions"
    if not lake.has(table):
        raise UsageError(f"{table} does not exist yet", hint="correnteza status")
    require_key(key, contract.key, of=contract.name)
    predicate = " AND ".join(f"\"{column}\"::VARCHAR IS NOT DISTINCT FROM nullif(?, '')" for column in contract.key)
    values = contract.value_fields
    order = "known_from, kafka_offset"
    # Maps are compared by their text: the engine has no order of them.
    changed = ", ".join(
        f'CASE WHEN "{name}"::VARCHAR IS DISTINCT FROM lag("{name}"::VARCHAR) OVER later THEN \'{name}\' END'
        for name in values
    )
    return lake.sql(
        f"""
        SELECT known_from, published_at, published_at_basis, retrieved_at, {quoted(values)},
               is_withdrawn IS TRUE AS is_withdrawn,
               CASE WHEN row_number() OVER later > 1 THEN list_filter([{changed}], lambda name: name IS NOT NULL) END
                   AS changed, kafka_partition, kafka_offset, chunk_id
        FROM {table} WHERE {predicate} WINDOW later AS (ORDER BY {order}) ORDER BY {order}""",
        [key[column] for column in contract.key],
    )


def require_key(given: Collection[str], columns: Collection[str], *, of: str) -> None:
    """Raises: UsageError when the columns given are not exactly those of a table's key."""
    if wrong := sorted(set(given) ^ set(columns)):
        raise UsageError(
            f"{', '.join(wrong)}: missing, or not in the key of {of}",
            hint=" ".join(f"{column}=…" for column in columns),
        )
