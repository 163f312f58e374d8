"""The expectations that quarantine a row, as the silver tables declare them."""

from monitoring.proof.checks.model import Rule
from stream_jobs.silver.tables import model


def quarantining() -> dict[str, tuple[Rule, ...]]:
    """Dataset → its rules."""
    return {
        name: tuple(Rule(each.name, each.sql) for each in table.expectations if each.action == "quarantine")
        for name, table in model.discover().items()
    }
