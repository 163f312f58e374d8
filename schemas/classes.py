"""What a column says about people. Each contract and each gold table names the class of each of its columns.

There is no default: a column without a class fails a test, and so does a personal one in gold.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

PUBLIC = "public"
"""Says nothing of anybody: measurements, sums, places, days, words of a source's own vocabulary."""
ORGANISATION = "organisation"
"""Names a legal person or what belongs to it: CNPJ, name of a firm, licence. Of a firm that is one person it says who
that is."""
PERSONAL = "personal"
"""A natural person may be found by it, or it holds whatever a source sent, unread."""
TECHNICAL = "technical"
"""Made by the pipeline, Kafka or the transport: offsets, hashes of content, clocks of the retrieval."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        PUBLIC: "says nothing of anybody",
        ORGANISATION: "names a legal person, or what belongs to it",
        PERSONAL: "a natural person may be found by it, or it holds text of a source that nothing has read",
        TECHNICAL: "made by the pipeline, Kafka or the transport",
    }
)
"""Class → its meaning, the one that asks for the least care first."""

_CARE = (TECHNICAL, PUBLIC, ORGANISATION, PERSONAL)


def by_column(classes: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Column → class. Args: classes: class → its columns. Raises: ValueError: an unknown class, or two for a column."""
    found: dict[str, str] = {}
    for name, columns in classes.items():
        if name not in MEANINGS:
            raise ValueError(f"no class {name!r}: one of {', '.join(MEANINGS)}")
        for column in columns:
            if column in found:
                raise ValueError(f"{column} has two classes: {found[column]} and {name}")
            found[column] = name
    return found


def strictest(classes: Iterable[str]) -> str:
    """The one among some classes that asks for the most care."""
    return max(classes, key=_CARE.index, default=TECHNICAL)
