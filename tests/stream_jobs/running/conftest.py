"""What silver reads of a series of months."""

from tests.stream_jobs.running.months import read

__all__ = ["read"]
