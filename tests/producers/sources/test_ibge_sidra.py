"""SIDRA: cells by the header's texts, symbols, the question for what changed, and its bounds."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from foundation.errors import InvalidContent
from producers.families.sidra_periods import MOST_PERIOD_TEXT
from producers.model import Part, PartState, Progress, RejectReason, Span
from producers.sources.ibge_sidra import SOURCE, TABLES, UNDATED, VALUES, parse
from replay.content import DATA
from tests.records import RETRIEVED_AT

SAMPLES = {
    # file → table, dimensions of variable and period, classification and its dimension, as SOURCES describes them
    "ipca_20251110": (1737, "D2", "D3", None),
    "ipca_20251111": (1737, "D2", "D3", None),
    "subset_ipca_table1737_special_values": (1737, "D2", "D3", None),
    "inpc_20251111": (1736, "D2", "D3", None),
    "ipca15_20251111": (7062, "D3", "D4", ("315", "D2")),
    "pib_annual_20251111": (5938, "D2", "D3", None),
    "pib_quarterly_20251111": (5932, "D2", "D3", ("11255", "D4")),
    "unemployment_20251111": (6381, "D2", "D3", None),
    "built_population_capitals": (6579, "D2", "D3", None),
}


def content(name):
    return (DATA / "sidra" / f"{name}.json").read_bytes()


def parsed(body, table="1737", **options):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    chunks = list(parse([body], Part(str(table), VALUES, VALUES, RETRIEVED_AT), **options))
    rows = [row for chunk in chunks for row in chunk.records["ibge_sidra"].to_pylist()]
    rejects = [reject for chunk in chunks for reject in chunk.rejects]
    return rows, rejects, {note for chunk in chunks for note in chunk.notes}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_value_of_a_sample_is_the_files(name):
    table, variable, period, classification = SAMPLES[name]
    _header, *cells = json.loads(content(name))
    rows, rejects, _ = parsed(content(name), table)
    assert rejects == []
    assert rows == [
        {
            "table_id": table,
            "territory_level": cell["NC"],
            "territory_code": cell["D1C"],
            "territory_name": cell["D1N"],
            "variable_code": cell[f"{variable}C"],
            "variable_name": cell[f"{variable}N"],
            "period_code": cell[f"{period}C"],
            "period_name": cell[f"{period}N"],
            "classifications": f"{classification[0]}:{cell[classification[1] + 'C']}" if classification else "",
            "unit_name": cell["MN"] or None,
            "value": None if cell["V"] in {"...", ".."} else Decimal(cell["V"]),
            "value_symbol": cell["V"] if cell["V"] in {"...", ".."} else None,
            "row_number": number,
        }
        for number, cell in enumerate(cells)
    ]


def test_the_samples_hold_what_makes_them_special():
    """A symbol, and October 2025 only on the second day."""
    special, _, _ = parsed(content("subset_ipca_table1737_special_values"))
    assert {row["value_symbol"] for row in special} == {None, "..."}
    months = [{row["period_code"] for row in parsed(content(f"ipca_2025111{day}"))[0]} for day in (0, 1)]
    assert months[1] - months[0] == {"202510"}


HEADER = {
    "NC": "Nível Territorial (Código)",
    "NN": "Nível Territorial",
    "MC": "Unidade de Medida (Código)",
    "MN": "Unidade de Medida",
    "V": "Valor",
}
NAMES = ("Brasil", "Variável", "Mês")
CELL = {"NC": "1", "NN": "Brasil", "MC": "2", "MN": "%", "V": "0.09"}
CATEGORIES = (("1", "Brasil"), ("63", "IPCA - Variação mensal"), ("202510", "outubro 2025"))


def body(*values, names=NAMES, categories=CATEGORIES, **fields):
    """A body with these values of V; the dimensions in the order of `names`."""
    header, cell = HEADER.copy(), CELL | fields
    for number, (name, category) in enumerate(zip(names, categories, strict=True), 1):
        header |= {f"D{number}C": f"{name} (Código)", f"D{number}N": name}
        cell |= {f"D{number}C": category[0], f"D{number}N": category[1]}
    return [header, *(cell | {"V": value} for value in values or ("0.09",))]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
def test_a_dimension_is_what_the_header_says_whatever_its_number(order):
    (row,), _, _ = parsed(body(names=[NAMES[n] for n in order], categories=[CATEGORIES[n] for n in order]))
    found = [row[name] for name in ("territory_code", "territory_name", "variable_code", "period_code", "period_name")]
    assert found == ["1", "Brasil", "63", "202510", "outubro 2025"]


def test_classifications_stand_in_order_of_codes_not_of_the_question():
    names = ("Brasil", "Setores e subsetores", "Geral, grupo, subgrupo, item e subitem", "Variável", "Mês")
    categories = (CATEGORIES[0], ("90707", "PIB"), ("7169", "Índice geral"), *CATEGORIES[1:])
    (row,), _, notes = parsed(body(names=names, categories=categories))
    assert row["classifications"] == "315:7169,11255:90707"
    assert notes == set()


def test_an_undeclared_classification_is_kept_by_its_name_and_noted():
    names, categories = (*NAMES, "Sexo"), (*CATEGORIES, ("4", "Homens"))
    (row,), _, notes = parsed(body(names=names, categories=categories))
    assert row["classifications"] == "Sexo:4"
    assert len(notes) == 1


def test_several_levels_of_territory_share_a_dimension():
    names = ("Brasil e Município", "Variável", "Mês")
    whole, part = body(names=names), body(names=names, NC="6", NN="Município")
    part[1] |= {"D1C": "2304400", "D1N": "Fortaleza (CE)"}
    rows, _, _ = parsed([*whole, part[1]])
    assert [(row["territory_level"], row["territory_code"]) for row in rows] == [("1", "1"), ("6", "2304400")]


@pytest.mark.parametrize("symbol", ["...", "..", "-", "X"])
def test_a_symbol_is_kept_beside_a_null_value(symbol):
    rows, rejects, _ = parsed(body(symbol, "1.5"))
    assert [(row["value"], row["value_symbol"]) for row in rows] == [(None, symbol), (Decimal("1.5"), None)]
    assert rejects == []


def test_the_thirteen_decimals_of_the_first_index_values_are_kept():
    """January 1980, December 1993 being 100; with six decimals it would be zero."""
    (row,), rejects, _ = parsed(body("0.0000000076183"))
    assert row["value"] == Decimal("0.0000000076183")
    assert rejects == []


def test_a_body_without_any_value_is_noted_and_one_with_a_value_is_not():
    assert any("classification missing" in note for note in parsed(content("pib_quarterly_20251111"), 5932)[2])
    assert parsed(body("..", ".."))[2]
    assert not parsed(body("..", "1"))[2]
    assert not parsed(body("...", "..."))[2]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"V": "abc"}, RejectReason.BAD_NUMBER),
        ({"V": ""}, RejectReason.MISSING_VALUE),
        ({"V": "0.00000000000001"}, RejectReason.OUT_OF_RANGE),
        ({"NC": ""}, RejectReason.MISSING_VALUE),
        ({"D3C": "202513"}, RejectReason.BAD_DATE),
        ({"D3C": "2025"}, RejectReason.BAD_DATE),
        ({"D2C": None}, RejectReason.MISSING_VALUE),
    ],
)
def test_a_bad_cell_is_a_reject_and_the_header_is_not_counted(fields, reason):
    header, cell = body()
    rows, rejects, _ = parsed([header, cell, cell | fields])
    assert [row["row_number"] for row in rows] == [0]
    assert [(reject.row_number, reject.reason) for reject in rejects] == [(1, reason)]


def without(name):
    header, cell = body()
    return [{key: text for key, text in header.items() if key != name}, cell]


@pytest.mark.parametrize(
    "refused",
    [
        b"",
        b"<html><head><title>Request Rejected</title></head></html>",
        b"Quantidade de valores solicitados: 150000 excedeu o limite: 100000",
        b"[]",
        b"{}",
        [["NC"]],
        body()[1:],  # asked for with /h/n
        without("D3N"),
        body(names=("Brasil", "Variável", "Sexo")),
        body(names=("Brasil", "Assunto", "Mês")),
        body(names=("Lugar", "Variável", "Mês")),
    ],
)
def test_what_has_no_header_that_says_what_each_dimension_is_is_refused_whole(refused):
    with pytest.raises(InvalidContent):
        parsed(refused)


@pytest.mark.parametrize("table", ["ipca_20251111", "", "17.37", "٣"])
def test_a_body_without_a_table_is_refused_and_the_option_named(table):
    with pytest.raises(InvalidContent, match="--table"):
        parsed(body(), table)


def test_a_header_alone_means_no_new_data():
    assert SOURCE.is_no_news(200, json.dumps(body()[:1]).encode())
    assert not SOURCE.is_no_news(200, json.dumps(body()).encode())
    assert not SOURCE.is_no_news(400, b"Quantidade de valores solicitados: 2 excedeu o limite: 1")
    assert not SOURCE.is_no_news(200, b"<html></html>")


NOON = datetime(2025, 11, 11, 15, tzinfo=UTC)


@pytest.fixture
def noon(monkeypatch):
    monkeypatch.setattr("foundation.clock.now", lambda: NOON)


def state(published_at, key=VALUES):
    return PartState(key, "0" * 64, 1, 1, True, True, NOON, published_at, "api_field")


def asks(periods, *, seen=None, table=1737, span=None, suffix="", published=None, read_since=None):
    """The questions of a plan: (key, periods asked for, published_at). `periods`: code → day of change.

    `seen`: clock of the part of dated periods; `published`: other parts' states.
    """
    span = span or Span(date(1979, 12, 1))
    looks = []

    def look(path, params):
        looks.append(path)
        listed = [{"id": code, "literals": ["x"], "modificacao": day} for code, day in periods.items()]
        return json.dumps(listed).encode()

    parts = {VALUES + suffix: state(seen)} if seen else {}
    parts |= published or {}
    resource = next(each for each in SOURCE.resources(NOON.date(), span) if each.name == str(table))
    progress = Progress(NOON.date(), span, frozenset(parts), lambda key: None, parts.get, look, read_since)
    found = list(SOURCE.plan(resource, progress))
    assert looks == [f"https://servicodados.ibge.gov.br/api/v3/agregados/{table}/periodos"]
    assert all(ask.params == {"formato": "json"} for ask in found)
    assert all(len(SOURCE.base_url + ask.path) < 2000 for ask in found)
    return [(ask.key, ask.path.split("/p/")[1].split("/")[0], ask.published_at) for ask in found]


def test_the_question_names_table_variables_and_classification(noon):
    paths = {each.name: each.path.format("202510") for each in SOURCE.resources(NOON.date(), Span(date(2000, 1, 1)))}
    assert paths["1737"] == "values/t/1737/n1/all/v/63,69,2263,2264,2265,2266/p/202510"
    assert paths["5932"] == "values/t/5932/n1/all/v/6561/p/202510/c11255/90707"
    assert paths["7062"] == "values/t/7062/n1/all/v/355/p/202510/c315/7169"
    assert paths["6579"] == "values/t/6579/n6/all/v/9324/p/202510"
    assert set(paths) == {str(table.number) for table in TABLES}


def test_history_comes_in_one_question_under_its_newest_day(noon):
    periods = {"202508": "10/09/2025", "202509": "09/10/2025", "202510": "11/11/2025"}
    assert asks(periods) == [(VALUES, "202508-202510", datetime(2025, 11, 11, 12, tzinfo=UTC))]


def test_later_only_periods_changed_since_are_asked_for_the_oldest_day_first(noon):
    periods = {"202507": "10/08/2025", "202508": "11/11/2025", "202509": "09/10/2025", "202510": "11/11/2025"}
    seen = datetime(2025, 10, 9, 12, tzinfo=UTC)
    assert asks(periods, seen=seen) == [
        (VALUES, "202509", seen),
        (VALUES, "202508,202510", datetime(2025, 11, 11, 12, tzinfo=UTC)),
    ]


POPULATION = {"2006": "01/01/0001", "2021": "27/08/2021", "2024": "29/08/2024", "2025": "11/11/2025"}


def nine(day):
    """Nine in the morning of a day in Brasília."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)


def test_municipalities_are_asked_one_year_at_a_time_each_a_part_with_its_own_clock(noon):
    assert asks(POPULATION, table=6579) == [
        ("values 2006", "2006", None),
        ("values 2021", "2021", nine(date(2021, 8, 27))),
        ("values 2024", "2024", nine(date(2024, 8, 29))),
        ("values 2025", "2025", nine(date(2025, 11, 11))),
    ]


def test_one_year_of_all_municipalities_fits_into_an_answer_and_all_years_do_not():
    (table,) = (table for table in TABLES if table.level == 6)
    cells = 5571 * len(table.variables.split(","))
    assert cells < 100_000 < cells * len(range(2001, 2026))


def read(published_at, retrieved_at=NOON):
    return replace(state(published_at), retrieved_at=retrieved_at)


def test_a_published_year_is_asked_again_only_when_it_changed(noon):
    published = {
        "values 2006": read(None),
        "values 2021": read(nine(date(2021, 8, 27))),
        "values 2024": read(nine(date(2023, 8, 29))),
        "values 2025": read(nine(date(2025, 11, 11)), NOON + timedelta(days=1)),
    }
    asked = asks(POPULATION, table=6579, published=published)
    assert [key for key, _, _ in asked] == ["values 2024"]


def test_a_year_that_was_read_on_its_day_of_change_is_looked_at_again_until_the_day_is_over(noon):
    """More may follow on that day, and the list of changes would show nothing of it."""
    one = {"2025": "11/11/2025"}
    morning = read(nine(date(2025, 11, 11)), nine(date(2025, 11, 11)))
    assert len(asks(one, table=6579, published={"values 2025": morning})) == 1
    # Three in the morning, UTC, is the evening before in Brasília.
    evening = replace(morning, retrieved_at=datetime(2025, 11, 12, 2, 59, tzinfo=UTC))
    assert len(asks(one, table=6579, published={"values 2025": evening})) == 1
    after = replace(morning, retrieved_at=datetime(2025, 11, 12, 3, 1, tzinfo=UTC))
    assert asks(one, table=6579, published={"values 2025": after}) == []


def test_a_year_that_gets_its_first_day_of_change_is_asked_again_and_then_dated(noon):
    found = asks({"2006": "11/11/2025"}, table=6579, published={"values 2006": read(None, NOON + timedelta(days=9))})
    assert found == [("values 2006", "2006", nine(date(2025, 11, 11)))]


def test_an_estimate_of_the_first_of_july_is_known_in_september_of_its_own_year():
    """That of 2021 came out on 27 August 2021, that of 2024 on the 29th, that of 2011 on the 31st."""
    part = Part("6579", "values 2021", "n", RETRIEVED_AT)
    chunk = next(parse([content("built_population_capitals")], part))
    publication = SOURCE.publication["ibge_sidra"]
    ends = publication.period_end(chunk.records["ibge_sidra"]).to_pylist()
    assert {end + publication.lag(part) for end in ends} == {
        datetime(year, 9, 2, tzinfo=UTC) for year in (2021, 2024, 2025)
    }


def test_a_municipalitys_row_has_what_gold_looks_for():
    rows, rejects, notes = parsed(content("built_population_capitals"), 6579)
    assert (rejects, notes) == ([], set())
    (salvador,) = (row for row in rows if (row["territory_code"], row["period_code"]) == ("2927408", "2024"))
    assert {
        name: salvador[name] for name in ("table_id", "variable_code", "territory_level", "unit_name", "value")
    } == {
        "table_id": 6579,
        "variable_code": "9324",
        "territory_level": "6",
        "unit_name": "Pessoas",
        "value": Decimal(2_420_000),
    }
    assert len({row["territory_code"] for row in rows}) == 27


@pytest.mark.parametrize("table", [table.number for table in TABLES if table.is_revised])
def test_a_new_day_of_change_has_a_table_that_is_revised_asked_whole(noon, table):
    """One answer is one vintage, also where the list of changes names less than what was revised."""
    codes = ("2023", "2024", "2025") if table == 5938 else ("202501", "202502", "202503")
    periods = dict(zip(codes, ("02/06/2025", "02/09/2025", "11/11/2025"), strict=True))
    whole = (VALUES, f"{codes[0]}-{codes[-1]}", datetime(2025, 11, 11, 12, tzinfo=UTC))
    span = Span(date(1979, 12, 1), date.max)
    assert asks(periods, seen=datetime(2025, 9, 2, 12, tzinfo=UTC), table=table, span=span) == [whole]
    # More may have followed on the day last seen: that day's periods alone are looked at again.
    assert asks(periods, seen=whole[2], table=table) == [(VALUES, codes[-1], whole[2])]


def test_a_release_is_never_dated_later_than_now(monkeypatch):
    """A clock at IBGE that is ahead, or a date set in the night before."""
    early = datetime(2025, 11, 11, 3, 30, tzinfo=UTC)
    monkeypatch.setattr("foundation.clock.now", lambda: early)
    assert asks({"202510": "11/11/2025"}) == [(VALUES, "202510", early)]
    assert asks({"202510": "11/11/2025"}, seen=early) == [(VALUES, "202510", early)]


def test_a_period_that_never_got_a_day_of_change_is_asked_for_without_a_clock(noon):
    periods = {"197912": "01/01/0001", "198001": "09/10/2025", "198002": ""}
    assert asks(periods) == [
        (VALUES, "198001", datetime(2025, 10, 9, 12, tzinfo=UTC)),
        (UNDATED, "197912,198002", None),
    ]


def test_nothing_to_ask_when_the_table_has_no_period(noon):
    assert asks({}) == []


def test_a_backfill_asks_for_its_own_days_under_a_part_of_its_own(noon):
    periods = {"199911": "09/10/2025", "199912": "09/10/2025", "200001": "09/10/2025"}
    span = Span(date(1999, 12, 1), date(1999, 12, 31))
    published = datetime(2025, 10, 9, 12, tzinfo=UTC)
    assert asks(periods, span=span) == [(f"{VALUES} 1999-12-01..1999-12-31", "199912", published)]
    assert asks(periods, span=Span(date(2000, 1, 1))) == [(VALUES, "200001", published)]


EARLIER = {"202503": "10/04/2025", "202504": "09/05/2025", "202505": "10/06/2025", "202510": "11/11/2025"}


def test_periods_that_are_wanted_since_the_history_begins_earlier_are_asked_for_as_a_part_of_their_own(noon):
    wide = Span(date(2025, 4, 1))
    known = [(VALUES, "202510", nine(date(2025, 11, 11)))]
    found = asks(EARLIER, seen=nine(date(2025, 11, 11)), span=wide, read_since=date(2025, 7, 1))
    assert found == [*known, (f"{VALUES} 2025-04-01..2025-06-30", "202504-202505", nine(date(2025, 6, 10)))]
    for read_since in (wide.first, date(2025, 1, 1), None):
        assert asks(EARLIER, seen=nine(date(2025, 11, 11)), span=wide, read_since=read_since) == known
    changed = EARLIER | {"202504": "12/11/2025"}
    found = asks(changed, seen=nine(date(2025, 11, 11)), span=wide, read_since=date(2025, 7, 1))
    assert [periods for _, periods, _ in found] == ["202510", "202504", "202505"], "what changed since is news"


def test_a_table_that_is_revised_is_not_asked_in_parts(noon):
    quarters = {"202501": "30/05/2025", "202503": "11/11/2025"}
    found = asks(
        quarters, seen=nine(date(2025, 11, 11)), table=5932, span=Span(date(2025, 1, 1)), read_since=date(2025, 7, 1)
    )
    assert found == [(VALUES, "202503", nine(date(2025, 11, 11)))]


def test_a_quarter_is_owned_by_the_day_on_which_it_ends(noon):
    periods = {"199904": "02/03/2000", "200001": "02/06/2000"}
    assert [ask[1] for ask in asks(periods, table=5932, span=Span(date(2000, 1, 1)))] == ["200001"]


def test_many_scattered_periods_are_asked_for_as_one_stretch_under_the_newest_day(noon):
    """Every other month of 45 years changed: a list of them would be refused by IBGE's firewall."""
    codes = [f"{year}{month:02}" for year in range(1980, 2025) for month in range(1, 13)]
    periods = {code: "11/11/2025" if number % 2 else "09/10/2025" for number, code in enumerate(codes)}
    periods[codes[0]] = "01/02/2025"
    found = asks(periods, seen=datetime(2025, 10, 1, tzinfo=UTC))
    assert found == [(VALUES, "198002-202412", datetime(2025, 11, 11, 12, tzinfo=UTC))]
    assert len(",".join(codes[1::2])) > MOST_PERIOD_TEXT


@pytest.mark.parametrize(
    "listed", [b"{}", b"[1]", b'[{"literals":[]}]', b'[{"id":"1","modificacao":"gestern"}]', b"null"]
)
def test_a_list_of_periods_that_cannot_be_read_is_refused(listed):
    resource = SOURCE.resources(NOON.date(), Span(date(2000, 1, 1)))[0]
    progress = Progress(
        NOON.date(),
        Span(date(2000, 1, 1)),
        frozenset(),
        lambda key: None,
        lambda key: None,
        lambda path, params: listed,
    )
    with pytest.raises(InvalidContent):
        list(SOURCE.plan(resource, progress))


def test_a_repeated_request_is_published_only_with_a_new_or_changed_cell():
    former, later = content("ipca_20251110"), content("ipca_20251111")
    assert SOURCE.repeats(later, former)
    assert not SOURCE.repeats(former, later)


@pytest.mark.parametrize(
    ("table", "code", "end"),
    [
        (1737, "202512", (2026, 1, 1)),
        (5932, "202502", (2025, 7, 1)),
        (6381, "202502", (2025, 3, 1)),
        (5938, "2021", (2022, 1, 1)),
    ],
)
def test_a_code_is_a_month_a_quarter_or_a_year_as_the_table_has_it(table, code, end):
    name = {1737: "Mês", 5932: "Trimestre", 6381: "Trimestre Móvel", 5938: "Ano"}[table]
    cells = json.dumps(body(names=("Brasil", "Variável", name), categories=(*CATEGORIES[:2], (code, "x")))).encode()
    chunk = next(parse([cells], Part(str(table), VALUES, VALUES, RETRIEVED_AT)))
    ends = SOURCE.publication["ibge_sidra"].period_end(chunk.records["ibge_sidra"])
    assert ends.to_pylist() == [datetime(*end, tzinfo=UTC)]


def test_the_ipca_is_assumed_to_be_known_no_earlier_than_it_was():
    """October 2025 came out on 11 November."""
    lag = SOURCE.publication["ibge_sidra"].lag(Part("1737", VALUES, VALUES, RETRIEVED_AT))
    assert datetime(2025, 11, 1, tzinfo=UTC) + lag > datetime(2025, 11, 11, 12, tzinfo=UTC)


def test_release_mornings_are_polled_every_ten_minutes_and_other_days_once():
    eleventh = datetime(2025, 11, 11, 3, tzinfo=UTC)
    slots = list(SOURCE.calendar.between(eleventh, eleventh + timedelta(days=1)))
    assert [f"{slot:%H:%M}" for slot in slots] == [
        *("12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"),
        "18:10",
    ]
    fifteenth = eleventh + timedelta(days=4)
    assert len(list(SOURCE.calendar.between(fifteenth, fifteenth + timedelta(days=1)))) == 1
