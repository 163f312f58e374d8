"""The properties of a query that its checkpoint depends on, noted in the guard when a generation begins.

Spark itself lets a query start on a checkpoint whose layout it only half understands. Between releases these may
change: columns added, expectations, the MERGE, rate caps, a patch release of Spark. These may not: the kind of the
sources and of the sink, stateful operators (there are none), the version of Spark's offset files, Spark's major and
minor version, and our own protocol number. The topic and the tables written are in the guard by name and id.
"""

from collections.abc import Mapping
from importlib.metadata import version

PROTOCOL = "1"
"""Raised by a release that reads a checkpoint in another way than the one before it."""

OFFSET_VERSION = "v1"
"""First line of every file in Spark's offset and commit logs."""


def of(query: str) -> dict[str, str]:
    """The fingerprint of a query (`<layer>.<table>`) in this release."""
    is_bronze = query.startswith("bronze.")
    # Silver reads withdrawals beside the records. The number of a gold query's inputs is in its plan, as it always was.
    sources = {"bronze": "kafka", "silver": "delta, delta", "gold": "delta"}
    return {
        "source": sources[query.partition(".")[0]],
        "sink": "delta" if is_bronze else "foreachBatch",
        "state": "none",
        "offsets": OFFSET_VERSION,
        "spark": ".".join(version("pyspark").split(".")[:2]),
        "protocol": PROTOCOL,
    }


def difference(noted: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed, such as `spark was 4.0, is 4.1`; empty when nothing did."""
    names = sorted({*noted, *now})
    return [
        f"{name} was {noted.get(name, 'not noted')}, is {now.get(name, 'not known')}"
        for name in names
        if noted.get(name) != now.get(name)
    ]
