"""`migrate inspect`: a file is read to its end, and the mapping that it proposes loses nothing."""

import hashlib
import sqlite3
from contextlib import closing

import pytest

from benchmarks import legacy_system
from foundation.errors import CorrentezaError, InvalidContent, UnsafeState, UsageError
from migration import mapping_text
from migration.inspect import inspect, tables
from producers.legacy import mapping as mappings
from producers.legacy import sqlite_file
from tests.controls import complaint

COUNT = 2_000


def types(found) -> dict[str, str]:
    return {column.name: column.type for column in found.mapping.columns}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return legacy_system.write_sqlite(tmp_path_factory.mktemp("legacy") / "legacy.db", COUNT)


def test_a_database_lists_its_tables_and_its_views(database):
    found = tables(database)
    assert ("ClimaSalvador", "table", 60) in found
    assert ("chuva", "view", None) in found
    assert (legacy_system.NAME, "table", COUNT) in found


def test_the_big_table_gets_a_type_for_each_of_its_31_columns(database):
    found = inspect(database, legacy_system.NAME)
    proposed = types(found)
    assert found.rows == COUNT
    assert len(proposed) == 31
    assert proposed["date"] == "day"
    assert proposed["item_id"] == "int"
    assert proposed["quantity"] == "int"
    assert proposed["site_id"] == "text", "its zeros come first"
    assert proposed["temperature"] == proposed["cost"] == "real"
    assert found.mapping.column("date").forms == ("iso", "brazilian", "epoch_seconds")
    assert found.mapping.column("c_5g_coverage").name == "5g_coverage"
    said = " ".join(each for _, proposal in found.columns for each in proposal.suspicious)
    assert "begin with zeros" in said
    assert "every value is null" in said
    assert "blobs" in said
    assert "'2023-02-30'" not in said or "rejects" in said


def test_the_mapping_is_toml_that_is_read_as_it_was_proposed(database):
    found = inspect(database, legacy_system.NAME)
    assert mappings.read(mapping_text.toml(found), "it") == found.mapping


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", "|")]
)
def test_the_encoding_and_the_delimiter_of_a_csv_file_are_detected(tmp_path, encoding, delimiter):
    file = tmp_path / "a.csv"
    lines = ["código|peça|preço", "007|Água|1.234,56", "008|Ração, 5 kg|7,5", '009|"duas|linhas"|1,25']
    text = "\n".join(line.replace("|", delimiter) if '"' not in line else line for line in lines)
    text = text.replace('009|"duas|linhas"|1,25', delimiter.join(["009", '"duas\nlinhas"', '"1,25"']))
    if delimiter == ",":
        text = text.replace("1.234,56", '"1.234,56"').replace(",7,5", ',"7,5"').replace("Ração, 5 kg", '"Ração, 5 kg"')
    file.write_text(text, encoding=encoding)

    found = inspect(file)

    assert found.mapping.encoding == {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert found.mapping.delimiter == delimiter
    assert (found.rows, found.bad_rows) == (3, 0)
    assert types(found) == {"código": "text", "peça": "text", "preço": "decimal(18,2)"}
    assert [column.field for column in found.mapping.columns] == ["codigo", "peca", "preco"]


def test_rows_that_repeat_and_lines_that_are_none_are_counted(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n1,x\n1,x\n2\n3,\xff\n" + b"4,\xc3\xa1\n5,\xc3\xa9\n")
    found = inspect(file)
    assert (found.rows, found.bad_rows, found.duplicates, found.not_utf8) == (4, 2, 1, 1)


HOSTILE = {
    "an empty file": (b"", InvalidContent, "is empty"),
    "a header that names a column twice": (b"a,b,a\n1,2,3\n", InvalidContent, "stand twice"),
    "lines that end in lone carriage returns": (b"a,b\r1,2\r3,4\r", InvalidContent, "lone carriage returns"),
    "UTF-16 without its mark": ("a,b\n1,2\n".encode("utf-16-le"), InvalidContent, "UTF-16 without its mark"),
    "a database that is cut short": (b"SQLite format 3\0" + b"\xff" * 4000, CorrentezaError, "damaged|no SQLite"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, case):
    content, kind, why = HOSTILE[case]
    file = tmp_path / "hostile"
    file.write_bytes(content)
    with pytest.raises(kind, match=why):
        inspect(file)


def test_a_line_of_many_megabytes_is_a_bad_row_and_its_neighbours_stand(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n1,x\n2," + b"y" * (40 << 20) + b"\n3,z\n")
    found = inspect(file)
    assert (found.rows, found.bad_rows) == (2, 1)


def made(file, *statements: str):
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return file


def test_tables_of_every_kind_are_read_and_views_are_refused(tmp_path):
    file = made(
        tmp_path / "a.db",
        "CREATE TABLE g (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL, c INTEGER AS (a + 1) STORED)",
        "INSERT INTO g (a) VALUES (1), (2)",
        "CREATE TABLE w (k TEXT, v BLOB, PRIMARY KEY (k)) WITHOUT ROWID",
        "INSERT INTO w VALUES ('b', x'00ff'), ('a', 'texto')",
        "CREATE VIEW v AS SELECT * FROM g",
        'CREATE TABLE "select" ("from ""x""" INTEGER, rowid TEXT)',
        """INSERT INTO "select" VALUES (1, 'um')""",
    )
    generated = inspect(file, "g")
    assert types(generated) == {"a": "int", "b": "int", "c": "int"}
    assert sum("generated" in note for note in generated.notes) == 2
    without = inspect(file, "w")
    assert without.mapping.key == ("k",)
    assert "WITHOUT ROWID" in " ".join(without.notes)
    assert inspect(file, "select").rows == 1
    with pytest.raises(UsageError, match="no table but view"):
        inspect(file, "v")
    with pytest.raises(UsageError, match="no table 'nope'"):
        inspect(file, "nope")


def sha256(file) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def beside(file) -> list[str]:
    return sorted(each.name for each in file.parent.iterdir())


def test_reading_a_database_leaves_its_bytes_and_its_folder_as_they_were(database):
    before, there = sha256(database), beside(database)
    inspect(database, "ClimaSalvador")
    assert (sha256(database), beside(database)) == (before, there)


def test_what_stands_in_a_write_ahead_log_is_read_and_the_log_is_left_alone(tmp_path):
    file = made(tmp_path / "a.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    writer = sqlite3.connect(file)
    try:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        writer.execute("INSERT INTO t VALUES (3)")  # and does not commit
        log = tmp_path / "a.db-wal"
        before = sha256(file), sha256(log)
        assert inspect(file, "t").rows == 2
        assert (sha256(file), sha256(log)) == before
    finally:
        writer.close()


def test_a_log_whose_end_was_never_written_counts_up_to_its_last_whole_transaction(tmp_path):
    file = made(tmp_path / "a.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        whole = (tmp_path / "a.db-wal").read_bytes()
        copied = tmp_path / "copy.db"
        copied.write_bytes(file.read_bytes())
        (tmp_path / "copy.db-wal").write_bytes(whole + whole[-4000:-1000])
    assert inspect(copied, "t").rows == 2


def test_control_a_file_that_is_written_to_meanwhile_is_refused(tmp_path, control):
    file = made(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")

    def read(write: bool) -> list[str]:
        def work() -> None:
            with sqlite_file.opened(file) as connection:
                list(sqlite_file.rows(connection, sqlite_file.shape(connection, "t")))
                if write:
                    made(file, "INSERT INTO t VALUES (2)")

        return complaint(work)

    control.holds(read, False)
    control.objects(read, True, damage="was written to while it was read")


def test_a_page_that_is_damaged_is_refused_with_what_to_do(tmp_path):
    file = legacy_system.write_sqlite(tmp_path / "a.db", 500)
    content = bytearray(file.read_bytes())
    content[20_480:24_576] = b"\xee" * 4096
    file.write_bytes(content)
    with pytest.raises(UnsafeState, match="is damaged") as raised:
        inspect(file, legacy_system.NAME)
    assert ".recover" in str(raised.value.hint)
