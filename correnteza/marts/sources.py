"""The tables of the pipeline that marts read, as far as the lake has them."""

from pathlib import Path

from correnteza.marts.models import GOLD, SILVER
from monitoring.snapshot import snapshots


def present(lake: Path) -> dict[str, int]:
    """Table (`<layer>.<name>`) → its newest Delta version."""
    names = [*(f"gold.{name}" for name in GOLD), *(f"silver.{name}" for name in SILVER)]
    found = snapshots(lake)
    return {name: found[name].table.version() for name in names if name in found}
