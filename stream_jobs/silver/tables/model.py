"""The declaration of a silver table. Each module of this package that defines `TABLE` declares one dataset.

A contract that an installation declares for itself says in `prune_by` all that its table needs.
"""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from schemas.contracts import load_all
from sinks.expectations import Expectation
from stream_jobs.silver.withdrawals import BRONZE as WITHDRAWALS


@dataclass(frozen=True)
class SilverTable:
    """A dataset's silver tables; keys and columns come from its contract.

    Attributes:
        dataset: the contract's name.
        prune_by: the key column by which batches and queries narrow what they read: a time, or a period.
        expectations: what must be true of a row.
    """

    dataset: str
    prune_by: str
    expectations: tuple[Expectation, ...]

    @property
    def reads(self) -> tuple[str, str]:
        """The tables (`<layer>.<table>`) that its query streams: the dataset's bronze, and what was withdrawn."""
        return f"bronze.{self.dataset}", WITHDRAWALS


def discover() -> dict[str, SilverTable]:
    """Every declared dataset by name, in alphabetical order."""
    package = import_module("stream_jobs.silver.tables")
    found: dict[str, SilverTable] = {}
    for module in sorted(info.name for info in iter_modules(package.__path__)):
        table = getattr(import_module(f"stream_jobs.silver.tables.{module}"), "TABLE", None)
        if table is not None:
            found[table.dataset] = table
    own = (contract for contract in load_all().values() if contract.prune_by is not None)
    found |= {contract.name: SilverTable(contract.name, str(contract.prune_by), ()) for contract in own}
    return dict(sorted(found.items()))
