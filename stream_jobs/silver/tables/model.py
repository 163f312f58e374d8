"""The declaration of a silver table. Each module of this package that defines `TABLE` declares one dataset.

A contract that an installation declares for itself says in `prune_by` all that its table needs.
"""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

import duckdb

from foundation.errors import UsageError
from schemas.arrow import arrow_schema
from schemas.contracts import Contract, load_all
from sinks import sql
from sinks.expectations import Action, Expectation
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
    own = [contract for contract in load_all().values() if contract.prune_by is not None]
    found |= {each.name: SilverTable(each.name, str(each.prune_by), _expected(each)) for each in own}
    return dict(sorted(found.items()))


def _expected(contract: Contract) -> tuple[Expectation, ...]:
    """Raises: UsageError: the SQL of an expectation is not a predicate over the contract's fields."""
    rules = contract.external.expectations if contract.external else ()
    for rule in rules:
        try:
            sql.table(f"SELECT ({rule.sql})::BOOLEAN FROM rows", rows=arrow_schema(contract).empty_table())
        except duckdb.Error as error:
            raise UsageError(f"contract {contract.name}: expectation {rule.name}: {error}") from error
    return tuple(Expectation(rule.name, rule.sql, cast("Action", rule.action)) for rule in rules)
