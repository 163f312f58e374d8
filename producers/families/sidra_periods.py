"""SIDRA's periods: which periods of a table changed and when, how a request names them, and when one ends."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from foundation.errors import InvalidContent
from producers.formats import json_rows, values
from producers.model import BadValueError
from producers.scope import Days

MOST_PERIOD_TEXT = 1_500
"""Characters of periods in one address. IBGE's firewall refuses addresses of some 2,500."""

_NEVER = "01/01/0001"


@dataclass(frozen=True)
class Period:
    """One period of a table, and the day on which its values last changed; None if it never changed."""

    code: str
    changed_on: date | None


def listed(body: bytes) -> list[Period]:
    """The table's periods, in its own order: `[{"id": "202510", "literals": […], "modificacao": "11/11/2025"}, …]`.

    Raises: InvalidContent.
    """
    loaded = json_rows.load(body)
    if not isinstance(loaded, list):
        raise InvalidContent(f"not a list of periods: {str(loaded)[:200]}")
    try:
        return [Period(json_rows.required_text(item, "id"), _changed_on(item)) for item in loaded]
    except (BadValueError, AttributeError) as error:
        raise InvalidContent(f"not a list of periods: {error}") from None


def _changed_on(item: Mapping[str, Any]) -> date | None:
    text = json_rows.text(item, "modificacao").strip()
    return None if text in {"", _NEVER} else values.day(text)


def groups(
    known: Sequence[Period], dated: Sequence[Period], since: date | None, *, is_revised: bool
) -> list[tuple[date, str]]:
    """Each day of change with the text of its periods, in order of days.

    Args:
        known: all periods of the table, in its order.
        dated: those that are wanted and have a day of change.
        since: the first day of change that is wanted; None means everything, in one request.
        is_revised: whether any day of change after `since` means that everything is requested.
    """
    if since is not None and is_revised and any(period.changed_on > since for period in dated if period.changed_on):
        since = None
    by_day: dict[date, list[str]] = {}
    for period in dated:
        assert period.changed_on is not None
        if since is None or period.changed_on >= since:
            by_day.setdefault(period.changed_on, []).append(period.code)
    if not by_day:
        return []
    texts = [(day, text_of(known, by_day[day])) for day in sorted(by_day)]
    if since is not None and all(len(text) <= MOST_PERIOD_TEXT for _, text in texts):
        return texts
    # All together under the newest day: a late date is safer than an early one. If even that text is too long, the
    # range from the first changed period to the last is requested; periods without a change are then found unchanged.
    codes = [code for day in by_day.values() for code in day]
    return [(max(by_day), bounded(text_of(known, codes)))]


def bounded(periods: str) -> str:
    """The same text, or the whole range from the first to the last if it is too long."""
    if len(periods) <= MOST_PERIOD_TEXT:
        return periods
    codes = re.split("[,-]", periods)
    return f"{codes[0]}-{codes[-1]}"


def text_of(known: Sequence[Period], codes: Iterable[str]) -> str:
    """`202501-202503,202507`: with ranges of neighbours in the table's own list."""
    wanted = set(codes)
    runs: list[list[str]] = []
    neighbour = False
    for period in known:
        if period.code not in wanted:
            neighbour = False
            continue
        if neighbour:
            runs[-1].append(period.code)
        else:
            runs.append([period.code])
        neighbour = True
    return ",".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def days_of(periods: str, periodicity: str) -> tuple[Days, ...]:
    """The last days of the periods that a text of `text_of` names, as ranges.

    The table's own list may lack some periods of a range; those were never published.
    """
    found = []
    for run in periods.split(","):
        first, _, last = run.partition("-")
        ends = last_day(first, periodicity), last_day(last or first, periodicity)
        if ends[0] and ends[1]:
            found.append((ends[0], ends[1]))
    return tuple(sorted(found))


def last_day(code: str, periodicity: str) -> date | None:
    """The last day of a period; None for an invalid code. `202502` is a month or a quarter, depending on the table."""
    if not (code.isascii() and code.isdecimal() and len(code) == (4 if periodicity == "year" else 6)):
        return None
    year, number = int(code[:4]), int(code[4:] or 12)
    month = number * 3 if periodicity == "quarter" else number
    if not (1900 <= year <= 2200 and 1 <= month <= 12):
        return None
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)
