"""Judge silver and gold of a lake without running queries, by all oracles in `tests/`.

The readers, the rules and the hashes are the tests' own (`tests/silver_oracles.py`, `tests/gold_oracles.py`); nothing
here asks the product, or its `verify`.
"""

from collections.abc import Iterable

from storage.location import Location
from tests.gold_oracles import gold_follows
from tests.lake_oracles import table
from tests.silver_oracles import conserved, silver_follows, silver_keys


def silver_and_gold(lake: Location, datasets: Iterable[str], *wanted: str) -> list[str]:
    """O4, O6 and O9: the contradictions, in words.

    Args:
        datasets: those whose silver to judge; one without a silver table is left out.
        wanted: tables of gold that must be there; all that are there are judged.
    """
    found = []
    for dataset in datasets:
        if table(lake, f"silver.{dataset}_revisions", []) is not None:
            for oracle in (silver_keys, silver_follows, conserved):
                found += oracle(lake, dataset)
    return found + gold_follows(lake, *wanted)
