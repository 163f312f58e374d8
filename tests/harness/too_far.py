"""How controls change a cursor so that rows are lost: for the next poll more rows seem to be published."""

from dataclasses import replace

from producers.model import Cursor

LOST = 7
"""Rows of each part that was left unfinished."""


def too_far(cursors: dict[str, dict[str, Cursor]]) -> dict[str, dict[str, Cursor]]:
    """The cursors of `inmet_hourly`, each unfinished part of which goes on `LOST` rows too late."""
    for each in cursors["inmet_hourly"].values():
        each.parts = {
            key: state if state.is_complete else replace(state, next_row=state.next_row + LOST)
            for key, state in each.parts.items()
        }
    return cursors
