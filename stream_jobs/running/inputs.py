"""Which tables each query streams: by what the queries themselves declare."""

from stream_jobs.gold.canary import GOLD
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.model import discover as gold_tables
from stream_jobs.silver.canary import BRONZE, SILVER
from stream_jobs.silver.tables.model import discover as silver_tables


def declared() -> dict[str, tuple[str, ...]]:
    """Query → the tables that it streams."""
    silver = {f"silver.{name}": table.reads for name, table in silver_tables().items()}
    gold = {f"gold.{name}": table.reads for name, table in gold_tables().items() if isinstance(table, GoldTable)}
    return {**silver, **gold, SILVER: (BRONZE,), GOLD: (SILVER,)}
