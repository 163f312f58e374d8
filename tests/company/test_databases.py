"""Results and runs in a real PostgreSQL, one database each: what a local file does, and no row of the lake."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from correnteza.embedded import ports
from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable
from tests.company.postgres import postgres
from tests.company.test_tracking import home, load

__all__ = ["home"]

pytestmark = pytest.mark.company


@pytest.fixture(scope="module")
def server():
    import sqlalchemy as sa

    with postgres() as url:
        engine = sa.create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in ("great_expectations", "mlflow_tracking"):
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        yield url


@pytest.mark.parametrize("place", ["a file", "PostgreSQL"])
def test_a_version_s_results_are_kept_once_and_the_newest_are_given_back(place, tmp_path, request):
    from correnteza.suites.results import Result, Results

    url = (
        f"sqlite:///{tmp_path}/r.db" if place == "a file" else f"{request.getfixturevalue('server')}/great_expectations"
    )
    settings = Settings(home=tmp_path, quality_database=url)
    results = Results(settings.results_of_suites)
    first = Result("gold.x", 3, "a", -1, "critical", 10, 2, datetime(2025, 1, 2, 3, tzinfo=UTC))
    assert results.newest("gold.x") == []
    assert results.keep([first, replace(first, expectation="b")])
    assert not results.keep([replace(first, expectation="c"), replace(first, broken=9)]), "all or none"
    second = replace(first, version=4, base_version=3)
    assert results.keep([second])
    assert results.newest("gold.x") == [second]
    assert results.newest("gold.y") == []
    results.close()
    assert "p@ss" not in repr(settings)


def test_a_database_that_is_away_is_named_without_its_password():
    from correnteza.suites.results import Results

    with pytest.raises(DependencyUnavailable, match="no database for results") as told:
        Results(f"postgresql+psycopg2://owner:p%40ss@127.0.0.1:{ports.free()}/great_expectations")
    assert "p@ss" not in str(told.value)
    assert "p%40ss" not in str(told.value)


def test_runs_in_postgresql_are_made_once_and_hold_no_row_of_the_lake(server, home):
    import sqlalchemy as sa

    from correnteza import tracking
    from monitoring.lake import Lake

    settings = Settings(home=home, mlflow_tracking=f"{server}/mlflow_tracking")

    def track():
        path = str(home / "lake/gold/forecasts")
        return tracking.track(Lake(home / "lake"), path, settings.tracking, home / "locks")

    first = track()
    assert [each.payload_sha256 for each in first] == [load(home, number) for number in range(3)]
    assert [(each.run_id, each.is_new) for each in track()] == [(each.run_id, False) for each in first]
    engine = sa.create_engine(settings.tracking)
    tables = set(sa.inspect(engine).get_table_names())
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM metrics")).scalar() == 0
    engine.dispose()
    assert {"runs", "tags"} <= tables
    assert "forecasts" not in tables
