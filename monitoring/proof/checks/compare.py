"""Compare two sets of rows: first by a hash that ignores the order, and row by row only if the hashes differ."""

from collections.abc import Sequence

from monitoring.lake import Lake
from monitoring.proof.checks.model import EXAMPLES, Outcome, key_text, quoted


def difference(
    lake: Lake, outcome: Outcome, where: str, keys: Sequence[str], *, expected: str, stored: str, of: str
) -> None:
    """Report the smallest keys whose rows, or numbers of rows, differ between two queries with the same columns.

    Args: of: the name of `expected` in the sentences, such as `batch over bronze`.
    """
    digest = "(SELECT struct_pack(n := count(*), h := coalesce(sum(hash(x)::HUGEINT), 0)) FROM ({}) x)"
    if lake.value(f"SELECT {digest.format(expected)} = {digest.format(stored)}"):
        return
    for sides, what in (
        (f"({expected}) EXCEPT ALL ({stored})", f"rows of the {of} are missing or different"),
        (f"({stored}) EXCEPT ALL ({expected})", f"rows are not those of the {of}"),
    ):
        report(lake, outcome, where, f"SELECT {quoted(keys)} FROM ({sides})", what)


def report(lake: Lake, outcome: Outcome, where: str, failing: str, what: str) -> None:
    """Report the rows of a query as one finding, with the smallest of them."""
    found = int(str(lake.value(f"SELECT count(*) FROM ({failing})")))
    if found:
        rows = lake.rows(f"FROM ({failing}) ORDER BY ALL LIMIT {EXAMPLES}")
        outcome.add(where, f"{found} {what}", [key_text(row) for row in rows])
