"""Which tables each query streams, by the contracts and the definitions of gold. Nothing of the pipeline is imported.

The driver's own list (stream_jobs/running/inputs.py) is made of the queries themselves, and needs Spark. A test
compares the two lists.
"""

from collections.abc import Iterable, Mapping, Sequence

from schemas.contracts import CANARY, CANARY_TABLE, Contract

WITHDRAWALS = "bronze.ingest_withdrawals"
"""What every silver query reads beside its dataset's records; withdrawals of other datasets count as unread, too."""

CANARIES: Mapping[str, tuple[str, ...]] = {
    f"silver.{CANARY_TABLE}": (f"bronze.{CANARY_TABLE}",),
    f"gold.{CANARY_TABLE}": (f"silver.{CANARY_TABLE}",),
}
"""The canary's queries; they are watched separately from the others."""


def of_queries(contracts: Iterable[Contract], gold: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Query of silver or gold → the tables that it streams; silver first.

    Args: gold: table → the datasets that it is made from.
    """
    datasets = [each.name for each in contracts if each.is_dataset and not each.compacted and each.name != CANARY]
    return {
        **{f"silver.{name}": (f"bronze.{name}", WITHDRAWALS) for name in datasets},
        **{
            f"gold.{table}": tuple(f"silver.{name}_revisions" for name in inputs)
            for table, inputs in sorted(gold.items())
        },
    }
