"""What the series codes of the Banco Central's SGS mean."""

from pyspark.sql import DataFrame, SparkSession

from schemas import choices
from schemas.classes import PUBLIC
from sinks.arrow_frames import frame_of_tuples
from stream_jobs.gold.model import Column, StaticTable, schema_of

# frequency: D daily, M monthly, Q quarterly. is_revised: whether published values are changed later.
SERIES = (
    (1, "US dollar, selling, PTAX closing", "BRL/USD", "D", False),
    (11, "Selic effective rate, daily", "% per day", "D", False),
    (12, "CDI, daily", "% per day", "D", False),
    (188, "INPC", "% per month", "M", False),
    (189, "IGP-M", "% per month", "M", False),
    (190, "IGP-DI", "% per month", "M", False),
    (226, "TR", "% per period", "D", False),
    (256, "TJLP", "% per year", "M", False),
    (432, "Selic target", "% per year", "D", False),
    (433, "IPCA", "% per month", "M", False),
    (3697, "US dollar, buying, monthly mean", "BRL/USD", "M", False),
    (3698, "US dollar, selling, monthly mean", "BRL/USD", "M", False),
    (4380, "GDP, monthly, current prices", "BRL million", "M", True),
    (4392, "CDI accumulated in the month, annualised", "% per year", "M", False),
    (7478, "IPCA-15", "% per month", "M", False),
    (10813, "US dollar, buying, PTAX closing", "BRL/USD", "D", False),
    (13522, "IPCA, 12 months", "%", "M", False),
    (21619, "Euro, selling", "BRL/EUR", "D", False),
    (22099, "GDP, quarterly, observed", "index", "Q", True),
    (24363, "IBC-Br, observed", "index", "M", True),
    (24364, "IBC-Br, seasonally adjusted", "index", "M", True),
    (24369, "Unemployment, PNAD Contínua", "%", "M", True),
    (25389, "Regional activity index, Northeast", "index", "M", True),
)


COLUMNS = (
    Column("series_code", "BIGINT NOT NULL", "code in the Banco Central's SGS"),
    Column("name", "STRING NOT NULL", "what it measures"),
    Column("unit", "STRING NOT NULL", "unit of its values"),
    Column("frequency", "STRING NOT NULL", "D daily, M monthly, Q quarterly"),
    Column("is_revised", "BOOLEAN NOT NULL", "whether published values are changed later"),
)


def build(spark: SparkSession) -> DataFrame:
    """One row per series: the declared ones, and those of the settings."""
    own = [
        (each.code, each.name, each.unit, each.frequency, each.is_revised)
        for each in choices.of("bcb_sgs").own.values()
    ]
    return frame_of_tuples(spark, [*SERIES, *own], schema_of(COLUMNS))


TABLE = StaticTable(
    name="dim_economic_series",
    keys=("series_code",),
    about="One series of the Banco Central's SGS.",
    columns=COLUMNS,
    build=build,
    classes={PUBLIC: ("series_code", "name", "unit", "frequency", "is_revised")},
)
