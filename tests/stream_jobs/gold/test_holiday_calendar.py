"""The holidays that the calendar marks, against dates that anybody can look up."""

from datetime import date

from stream_jobs.gold.holiday_calendar import holidays_of

HOLIDAYS = {each.on: each for each in holidays_of(range(2000, 2036))}


def test_the_national_holidays_of_a_year():
    national = {(on.month, on.day) for on, each in HOLIDAYS.items() if on.year == 2025 and each.is_national}
    assert national == {
        (1, 1), (4, 18), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (11, 20), (12, 25)
    }  # fmt: skip


def test_the_twentieth_of_november_is_national_since_2024():
    years = {on.year for on in HOLIDAYS if (on.month, on.day) == (11, 20)}
    assert years == set(range(2024, 2036))


def test_carnival_and_corpus_christi_are_optional_days():
    optional = {on: each.name for on, each in HOLIDAYS.items() if on.year == 2026 and not each.is_national}
    assert optional == {
        date(2026, 2, 16): "Carnaval", date(2026, 2, 17): "Carnaval", date(2026, 6, 4): "Corpus Christi"
    }  # fmt: skip


def test_two_holidays_on_one_day_are_both_named():
    """In 2000 Good Friday fell on the day of Tiradentes."""
    assert HOLIDAYS[date(2000, 4, 21)].name == "Sexta-feira Santa; Tiradentes"
