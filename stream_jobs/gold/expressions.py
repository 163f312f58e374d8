"""Small column expressions that the tables share."""

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from foundation import quoting
from stream_jobs.silver.asof import ASSUMED


def literal_map(pairs: Mapping[str, str]) -> Column:
    """A constant map; indexed with a column it looks up without a join, null where there is no such key.

    Built from one text, because each call into the JVM costs time: `F.lit` would need two for every pair.
    """
    texts = (quoting.text(part) for pair in sorted(pairs.items()) for part in pair)
    return F.expr(f"map({', '.join(texts)})")


def is_assumed() -> Column:
    """Whether a version's publication clock was inferred by its producer and not measured."""
    return F.col("published_at_basis") == ASSUMED


MONTHS_OF_A_YEAR = 12


def month_number(on: str) -> Column:
    """Months since year 0: the numbers of neighbouring months differ by one."""
    return F.year(on) * MONTHS_OF_A_YEAR + F.month(on)


# Floating-point sums depend on the order of their terms, which differs between an incremental and a full run; sums of
# decimals do not. INMET sends two decimals at most; what does not fit decimal(18,6) is no measurement.
def _exact(column: str) -> Column:
    return F.col(column).try_cast("decimal(18,6)")


def exact_sum(column: str) -> Column:
    """The sum of the values there are; null when there is none."""
    return F.sum(_exact(column)).cast("double")


def exact_mean(column: str) -> Column:
    """The mean of the values there are; null when there is none."""
    return F.try_divide(exact_sum(column), F.count(_exact(column)).cast("double"))
