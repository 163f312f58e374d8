"""What silver reads of bronze: the columns of today's contract, whatever else bronze has kept."""

from schemas.contracts import load
from stream_jobs.columns import bronze_schema
from stream_jobs.silver.job import records
from stream_jobs.silver.withdrawals import withdrawals

CONTRACT = load("inmet_stations")


def test_a_column_that_the_contract_has_lost_stays_in_bronze_and_stops_no_query(spark):
    """Bronze keeps it for the rows that have it; withdrawals are made by the contract, and both go one way."""
    kept = bronze_schema(CONTRACT)
    kept["record"].dataType.add("lost", "string")
    read = records(spark.createDataFrame([], kept), CONTRACT)
    withdrawn = withdrawals(spark.createDataFrame([], bronze_schema(load("ingest.withdrawals"))), CONTRACT)

    assert "lost" not in read.columns
    assert set(read.unionByName(withdrawn).columns) == set(withdrawn.columns)
