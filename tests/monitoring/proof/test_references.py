"""Keys of a fact are in its dimension; periods of validity do not overlap."""

import pytest
from deltalake import write_deltalake

from monitoring.lag.spark_checkpoints import Progress
from monitoring.lake import Lake
from monitoring.proof.checks import references
from monitoring.proof.checks.gold_static import STATICS
from tests.monitoring.kit import REFERENCE


@pytest.fixture(scope="module")
def with_statics(intact, tmp_path_factory):
    """The small lake with its static dimensions."""
    kit = intact.copy_to(tmp_path_factory.mktemp("whole"))
    lake = Lake(kit.lake)
    for static in STATICS:
        write_deltalake(str(kit.path(f"gold.{static.table}")), lake.sql(static.query.format(folder=REFERENCE)))
    return kit


@pytest.fixture
def whole(with_statics, tmp_path):
    return with_statics.copy_to(tmp_path)


def findings(kit):
    return [(each.where, each.what, list(each.examples)) for each in references.check(kit.evidence()).findings]


def test_every_key_of_a_right_lake_resolves(whole):
    outcome = references.check(whole.evidence())
    assert (outcome.findings, outcome.notes) == ([], [])
    named = {each.table for each in references.REFERENCES}
    assert outcome.rows >= sum(Lake(whole.lake).value(f"SELECT count(*) FROM gold.{table}") for table in named)


@pytest.mark.parametrize("dimension", sorted({each.dimension for each in references.REFERENCES}))
def test_control_a_dimension_row_that_is_missing_is_named(whole, dimension, control):
    """Each dimension is emptied: all references to it are named, and no other one."""

    said = []

    def unresolved() -> list[str]:
        named = ((where, what.partition(" ")[2]) for where, what, _ in findings(whole))
        said[:] = [f"{where}: {what}" for where, what in named if "are not in dim_" in what]
        return said

    control.holds(unresolved)
    whole.delete(f"gold.{dimension}", "true")
    own = {
        f"gold.{each.table}: values of {each.column} are not in {dimension}"
        for each in references.REFERENCES
        if each.dimension == dimension
    }
    control.objects(unresolved, damage=f"are not in {dimension}")
    assert set(said) == own


def test_rows_that_overlap_are_named(whole):
    whole.change("gold.dim_operator", valid_to_on="DATE '2001-01-01'", where=f"cnpj = '{'1' * 14}'")
    ((where, what, examples),) = findings(whole)
    assert (where, "rows overlap" in what, len(examples)) == ("gold.dim_operator", True, 1)


def test_a_dimension_that_has_not_read_its_input_is_not_compared(whole):
    whole.delete("gold.dim_weather_station", "true")
    assert findings(whole)
    unread = Progress("gold.dim_weather_station", 0, None, None, in_flight=False, kafka={}, delta={})
    outcome = references.check(whole.evidence(progress={"gold.dim_weather_station": unread}))
    assert outcome.findings == []
    assert outcome.notes
