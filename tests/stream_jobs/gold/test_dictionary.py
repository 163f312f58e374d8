from pathlib import Path

from stream_jobs.gold import dictionary
from stream_jobs.gold.model import GoldTable, discover

PAGE = Path(__file__).parents[3] / "docs" / "data-dictionary.md"


def test_the_published_dictionary_is_that_of_the_declarations():
    assert PAGE.read_text(encoding="utf-8") == dictionary.text(), "run: make dictionary"


def test_every_column_says_what_it_means_and_every_quantity_its_unit():
    for table in discover().values():
        assert table.about
        for column in table.columns:
            assert column.meaning, (table.name, column.name)
            is_quantity = column.type.startswith(("DOUBLE", "DECIMAL")) and "dimensionless" not in column.meaning
            if is_quantity and column.name != "field_work_disruption":
                assert column.unit, (table.name, column.name)


def test_every_source_of_a_column_is_one_of_the_tables_inputs():
    for table in discover().values():
        if isinstance(table, GoldTable):
            inputs = {each.dataset for each in table.inputs}
            for column in table.columns:
                named = {part.split()[0] for part in column.source.replace("else ", "").split(", ") if part}
                assert named <= inputs, (table.name, column.name)
