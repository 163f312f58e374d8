"""The meetings of the Banco Central's committee for monetary policy (COPOM), from the reference file."""

from pyspark.sql import DataFrame, SparkSession

from schemas.classes import PUBLIC
from sinks.arrow_frames import frame_of_tuples
from stream_jobs.gold.model import Column, StaticTable, schema_of
from stream_jobs.gold.reference import copom_meetings

COLUMNS = (
    Column("meeting_id", "STRING NOT NULL", "as the Focus survey names it: R1/2026 is the first of 2026"),
    Column("year", "INT NOT NULL", "calendar year"),
    Column("number", "INT NOT NULL", "place in the year"),
    Column("decided_on", "DATE NOT NULL", "its last day; the Selic target is decided in the evening"),
    Column("previous_on", "DATE", "last day of the meeting before it; null if that one is not in the file"),
)


def build(spark: SparkSession) -> DataFrame:
    """One row per meeting."""
    rows = [(each.meeting_id, each.year, each.number, each.decided_on, each.previous_on) for each in copom_meetings()]
    return frame_of_tuples(spark, rows, schema_of(COLUMNS))


TABLE = StaticTable(
    name="dim_copom_meeting",
    keys=("meeting_id",),
    about="One meeting of the COPOM whose day is certain; later meetings are added by releases.",
    columns=COLUMNS,
    build=build,
    classes={PUBLIC: ("meeting_id", "year", "number", "decided_on", "previous_on")},
)
