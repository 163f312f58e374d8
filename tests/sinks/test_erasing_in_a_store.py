"""Rows leave a table in an object store for good: its files, its former files, its log."""

import pytest

from correnteza import spark as sessions
from storage.location import Remote
from tests.sinks.test_erasing import (
    made,
    test_control_without_the_vacuum_and_without_the_log_the_text_is_found,
    test_only_files_that_hold_the_rows_are_written_anew_and_deleted,
    test_rows_leave_the_table_and_all_that_held_them,
    test_spark_reads_the_table_through_a_checkpoint_without_statistics_and_a_stream_goes_on_from_before,
)
from tests.stores import in_store, lake, store

__all__ = [
    "in_store",
    "lake",
    "store",
    "test_control_without_the_vacuum_and_without_the_log_the_text_is_found",
    "test_only_files_that_hold_the_rows_are_written_anew_and_deleted",
    "test_rows_leave_the_table_and_all_that_held_them",
    "test_spark_reads_the_table_through_a_checkpoint_without_statistics_and_a_stream_goes_on_from_before",
]


@pytest.fixture
def path(spark, settings, lake: Remote) -> str:
    sessions.reach_store(spark, settings)
    return made(str(lake / "some" / "table"))
