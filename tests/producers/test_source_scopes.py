"""What each source says that one edition states in full, and to which day its rows belong."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from producers import sources
from producers.model import Part, Progress, Span
from producers.scope import EVERY_DAY, Scope
from schemas.contracts import load
from tests.golden import kit

ALL = sources.load_all()
STATING = sorted(name for name, source in ALL.items() if source.days)
NOW = datetime(2025, 11, 12, 15, tzinfo=UTC)


def test_only_forecasts_state_nothing_again():
    assert set(ALL) - set(STATING) == {"openmeteo_forecast"}


@pytest.mark.parametrize("name", STATING)
def test_every_row_of_the_golden_files_belongs_to_one_day(name):
    source, found = ALL[name], kit.load(name).cases[0]
    for parsed in source.parse([found.file.read_bytes()], found.part):
        for dataset, records in parsed.records.items():
            days = source.days[dataset](records)
            assert (days.type, len(days), days.null_count) == (pa.date32(), records.num_rows, 0)


def scope(source: str, key: str, name: str) -> Scope | None:
    return ALL[source].scope(key, name)


def test_a_member_of_accesses_states_its_months():
    found = scope("anatel_mobile_accesses", "x", "Acessos_Telefonia_Movel_202201-202205_Colunas.csv")
    assert found == Scope(("anatel_mobile_accesses",), ((date(2022, 1, 1), date(2022, 5, 1)),))
    assert scope("anatel_mobile_accesses", "x", "Densidade_Telefonia_Movel.csv") is None
    years = scope("anatel_broadband_accesses", "x", "Acessos_Banda_Larga_Fixa_2019-2020.csv")
    assert years == Scope(("anatel_broadband_accesses",), ((date(2019, 1, 1), date(2020, 12, 1)),))


def test_totals_and_accesses_are_never_compared_with_each_other():
    totals = scope("anatel_broadband_accesses", "Total", "Acessos_Banda_Larga_Fixa_Total.csv")
    accesses = scope("anatel_broadband_accesses", "2026", "Acessos_Banda_Larga_Fixa_2026.csv")
    assert totals == Scope(("anatel_broadband_totals",), (EVERY_DAY,))
    assert totals.common(accesses) is None


def test_a_station_file_states_the_days_in_its_name_whose_end_moves():
    names = [f"INMET_NE_BA_A401_SALVADOR_01-01-2024_A_{end}-2024.CSV" for end in ("30-11", "31-12")]
    first, second = (scope("inmet_hourly", "A401", name) for name in names)
    assert first == Scope(
        ("inmet_hourly", "inmet_stations"), ((date(2024, 1, 1), date(2024, 11, 30)),), (("station_code", "A401"),)
    )
    assert second.common(first) == first


def test_one_file_of_stations_is_a_snapshot_and_of_several_none_is():
    source = ALL["anatel_base_stations"]
    (resource,) = source.resources(NOW.date(), Span(source.history_start))

    def scopes(*names: str) -> list[Scope | None]:
        return [source.scope(*part) for part in source.select(resource, names, Span(source.history_start)).items()]

    assert scopes("Estacoes_SMP.csv", "leia-me.pdf") == [Scope(("anatel_base_stations",), (EVERY_DAY,))]
    assert scopes("csv_ba.csv", "csv_rn.csv") == [None, None]


@pytest.mark.parametrize(
    ("name", "resource", "where"),
    [
        ("bcb_sgs", "433", ("series_code", 433)),
        ("bcb_ptax", "USD", ("currency_code", "USD")),
        ("bcb_focus", "ExpectativasMercadoAnuais", ("resource", "ExpectativasMercadoAnuais")),
        ("openmeteo_archive", "2927408", ("point_id", "2927408")),
    ],
)
def test_a_window_states_the_days_that_were_asked_for(name, resource, where):
    source = ALL[name]
    span = Span(date(2025, 1, 1))
    asked = next(each for each in source.resources(NOW.date(), span) if each.name == resource)
    nothing = Progress(NOW.date(), span, frozenset(), lambda key: None, lambda key: None, lambda path, params: b"")
    asks = list(source.plan(asked, nothing))
    assert {each.scope.where for each in asks} == {(where,)}
    assert where[0] in load(name).key
    days = sorted(stretch for each in asks for stretch in each.scope.days)
    assert days[0][0] == span.first
    assert days[-1][1] >= NOW.date()


def test_sidra_s_periods_are_distinguished_by_their_last_days():
    body = (kit.ROOT / "replay/data/sidra/ipca_20251111.json").read_bytes()
    source = ALL["ibge_sidra"]
    (parsed,) = source.parse([body], Part("1737", "values", "values", NOW))
    records = parsed.records["ibge_sidra"]
    october = pc.equal(records.column("period_code"), "202510")
    assert set(source.days["ibge_sidra"](records.filter(october)).to_pylist()) == {date(2025, 10, 31)}
