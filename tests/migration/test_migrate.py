"""`migrate plan|run|verify|report|rollback` over real Kafka, Spark and Delta: legacy rows are ordinary rows."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import legacy_system
from migration import checks, mapping_text, record, source_rows
from migration.inspect import inspect
from monitoring.lake import Lake
from producers.legacy import mapping as mappings
from tests.helpers import run_here

COUNT = 1_200
DATASET = "legacy_unified_dataset_with_factors"
pytestmark = pytest.mark.slow

TOPICS = ("ingest.manifests", "ingest.rejects", "ingest.withdrawals", "ingest.redrives")


@pytest.fixture
def database(tmp_path):
    return legacy_system.write_sqlite(tmp_path / "legacy.db", COUNT)


def proposed(folder: Path, file: Path, table: str | None = None) -> Path:
    """The mapping that `inspect` proposes, as a file."""
    made = folder / f"{file.stem}-{table}.toml"
    made.write_text(mapping_text.toml(inspect(file, table)), encoding="utf-8")
    return made


def said(settings, *arguments: object, code: int = 0) -> str:
    """What a command prints; fails unless it ends with the code."""
    done = run_here(settings, ["migrate", *map(str, arguments)])
    assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def stream(pipeline, *datasets: str) -> None:
    """Bronze and silver of these, and of what every publication brings."""
    pipeline.run(*(pipeline.bronze(name) for name in (*TOPICS, *datasets)))
    pipeline.run(*(pipeline.silver(name) for name in datasets))


def require_taken_back(pipeline, settings, dataset: str, rows: int) -> None:
    """Silver holds nothing of a dataset that was rolled back, bronze all."""
    stream(pipeline, dataset)
    assert pipeline.rows(f"silver.{dataset}") == []
    assert len(pipeline.rows(f"bronze.{dataset}")) == rows, "bronze keeps what was taken back"
    assert pipeline.contradictions(*TOPICS, dataset) == {}
    assert "is visible" in said(settings, "verify", dataset, code=2)


def require_it_comes_again(
    pipeline, settings, dataset: str, mapping: Path, file: Path, values: dict[int, tuple[object, ...]]
) -> None:
    """Another run after a rollback brings the same values."""
    said(settings, "run", mapping, file)
    stream(pipeline, dataset)
    assert values_of(pipeline, mapping) == values
    said(settings, "verify", dataset)
    assert pipeline.contradictions(*TOPICS, dataset) == {}


def values_of(pipeline, mapping: Path) -> dict[int, tuple[object, ...]]:
    """Number → values of the mapping's fields, of the rows in silver."""
    read = mappings.load(mapping)
    fields = [column.field for column in read.columns]
    rows = pipeline.rows(f"silver.{read.dataset}")
    return {row["legacy_row"]: tuple(row[name] for name in fields) for row in rows}


def test_a_table_with_bad_rows_reaches_silver_once_and_can_be_rolled_back(pipeline, settings, tmp_path, database):
    mapping = proposed(tmp_path, database, legacy_system.NAME)
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    bad = legacy_system.bad_rows(COUNT)
    good = COUNT - bad

    assert f'"rejected": {bad}' in said(settings, "plan", mapping, database, "--json")
    assert f"{good:,} rows, {bad} rejects" in said(settings, "run", mapping, database)
    stream(pipeline, DATASET)
    rows = {row["legacy_row"]: row for row in pipeline.rows(f"silver.{DATASET}")}

    assert len(rows) == good
    assert {row["provenance"] for row in rows.values()} == {"legacy_unverified"}
    assert {row["published_at_basis"] for row in rows.values()} == {"assumed_lag"}
    assert rows[8]["item_id"] == legacy_system.BEYOND_DOUBLE
    assert rows[10]["item_name"] == "x'6361626f20fffe'"
    assert rows[11]["item_name"] == 'parafuso "sextavado"\nM8'
    assert rows[12]["item_name"] == ""
    assert rows[1]["site_id"] == "00000000000012"
    rejects = [each["record"] for each in pipeline.rows("bronze.ingest_rejects")]
    assert len(rejects) == bad
    assert {each["reason"] for each in rejects} == {"bad_date", "bad_number"}
    assert all(b"\t" in each["raw"] for each in rejects), "a reject keeps its row"
    assert pipeline.contradictions(*TOPICS, DATASET) == {}
    said(settings, "verify", DATASET)
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before

    assert "published already" in said(settings, "run", mapping, database)
    stream(pipeline, DATASET)
    assert len(pipeline.rows(f"bronze.{DATASET}")) == good

    report = tmp_path / "report.html"
    said(settings, "report", DATASET, "--output", report)
    page = report.read_text()
    assert "exactly as in the files" in page
    assert "\tPeça número 1\t" in page, "a rejected row is shown as text, not as bytes"
    assert r"<code>\N</code>" not in page, "what is null is shown as null"
    document = json.loads(said(settings, "report", DATASET).partition("\nnext")[0])
    assert document["holds"] is True
    assert {each["reason"]: each["rows"] for each in document["rejects"]} == {"bad_date": 3, "bad_number": bad - 3}
    assert document["files"][0]["samples"][0]["delta"]["site_id"] == "00000000000012"

    first = values_of(pipeline, mapping)
    assert f"{good:,} rows withdrawn" in said(settings, "rollback", DATASET, "--yes")
    assert json.loads(run_here(settings, ["query", NAMES, "--json"]).stdout) == [], "views hide the rows at once"
    require_taken_back(pipeline, settings, DATASET, good)
    assert "taken back already" in said(settings, "rollback", DATASET, "--yes")

    require_it_comes_again(pipeline, settings, DATASET, mapping, database, first)
    shown = run_here(
        settings,
        ["query", 'SELECT count(*) AS n, min("5g_coverage") AS c FROM legacy.unified_dataset_with_factors', "--json"],
    )
    assert json.loads(shown.stdout) == [{"n": good, "c": 0}]


NAMES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'legacy'"


@pytest.fixture
def climate(tmp_path, settings, pipeline):
    """The small table of weather, migrated and in silver: (file, mapping)."""
    file = legacy_system.write_sqlite(tmp_path / "legacy.db", 10)
    mapping = proposed(tmp_path, file, "ClimaSalvador")
    said(settings, "run", mapping, file)
    stream(pipeline, "legacy_clima_salvador")
    return file, mapping


def problems(settings, mapping: Path, file: Path) -> list[str]:
    """What `migrate verify` finds between a file and Delta."""
    return checks.check(Lake(settings.lake_root), mappings.load(mapping), file, "legacy.db").problems()


def test_control_each_comparison_sees_a_file_that_is_not_what_delta_holds(settings, climate, tmp_path, control):
    """The protection is that both hold the same: a value, a row and a null are changed in a copy of the file."""
    file, mapping = climate
    control.holds(problems, settings, mapping, file)

    def changed(statement: str) -> Path:
        copy = tmp_path / "copy.db"
        copy.write_bytes(file.read_bytes())
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(statement)
            connection.commit()
        return copy

    digit = "UPDATE ClimaSalvador SET temperatura_media = temperatura_media + 1e-12 WHERE rowid = 7"
    control.objects(problems, settings, mapping, changed(digit), damage=" SHA-256 ")
    row = "DELETE FROM ClimaSalvador WHERE rowid = 60"
    control.objects(problems, settings, mapping, changed(row), damage="Delta holds 60 rows, the file 59")
    null = "UPDATE ClimaSalvador SET umidade_percentual = NULL WHERE rowid = 3"
    control.objects(problems, settings, mapping, changed(null), damage="umidade_percentual: (1, ")
    rain = "UPDATE ClimaSalvador SET precipitacao_mm = 400 WHERE rowid = 3"
    control.objects(problems, settings, mapping, changed(rain), damage="precipitacao_mm in 2024-01")


def test_a_file_that_holds_other_rows_now_withdraws_what_it_lacks_and_corrects_what_it_changed(
    settings, pipeline, climate
):
    file, mapping = climate
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE ClimaSalvador SET precipitacao_mm = 99 WHERE rowid = 3")
        connection.execute("DELETE FROM ClimaSalvador WHERE rowid > 55")
        connection.commit()

    assert "60 rows" not in said(settings, "run", mapping, file)
    stream(pipeline, "legacy_clima_salvador")

    rows = values_of(pipeline, mapping)
    assert sorted(rows) == list(range(1, 56))
    assert rows[3][4] == 99.0
    assert problems(settings, mapping, file) == []
    assert pipeline.contradictions(*TOPICS, "legacy_clima_salvador") == {}


def test_a_csv_file_keeps_its_rows_and_its_bad_lines_are_rejects_with_their_bytes(settings, pipeline, tmp_path):
    file = tmp_path / "peças.csv"
    rows = [
        b"c\xc3\xb3digo;dia;pre\xc3\xa7o",
        b'007;31/12/2023;"1.234,56"',
        b'008;2024-01-02;"7,5"',
        b"009;x;1",
        b"010;2024-01-03",
    ]
    rows += [
        b"011;2024-01-04;\xff",
        b'012;2024-01-05;"0,10"',
        b'"0\n13";2024-01-06;2',
        b"014;2024-01-07;" + b"9" * 300_000,
    ]
    rows += [b"%03d;2024-02-01;%d,25" % (n, n) for n in range(100, 150)]
    file.write_bytes(b"\xef\xbb\xbf" + b"\n".join(rows) + b"\n")
    mapping = proposed(tmp_path, file)

    assert "54 rows, 4 rejects" in said(settings, "run", mapping, file)
    stream(pipeline, "legacy_pecas")

    assert problems_of_csv(settings, mapping, file) == []
    rejects = {row["record"]["row_number"]: row["record"] for row in pipeline.rows("bronze.ingest_rejects")}
    assert {number: each["reason"] for number, each in rejects.items()} == {
        2: "bad_date",
        3: "malformed_row",
        4: "bad_encoding",
        7: "row_too_long",
    }
    assert rejects[4]["raw"] == b"011;2024-01-04;\xff"
    read = {row.number: row.values for row in source_rows.read(mappings.load(mapping), file) if row.values}
    assert values_of(pipeline, mapping) == read
    assert read[6][0] == "0\n13"


def problems_of_csv(settings, mapping: Path, file: Path) -> list[str]:
    return checks.check(Lake(settings.lake_root), mappings.load(mapping), file, file.name).problems()


def test_a_key_that_two_rows_share_is_refused_before_anything_is_published(settings, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("k,v\n1,a\n2,b\n1,c\n")
    mapping = proposed(tmp_path, file)
    mapping.write_text(mapping.read_text().replace('key = ["legacy_row"]', 'key = ["k"]'))
    assert "1 rows of a.csv have a key (k) that another row has too" in said(settings, "plan", mapping, file, code=3)
    assert "another row has too" in said(settings, "run", mapping, file, code=3)
    assert not (settings.home / "contracts").exists()


def test_a_mapping_that_fits_few_rows_declares_nothing_and_can_be_corrected(settings, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("k,v\n1,a\n2,b\n3,c\n")
    right = proposed(tmp_path, file)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(right.read_text().replace('type = "text"', 'type = "day"'))
    assert "most of the first rows of a.csv are bad, 3 with bad_date" in said(settings, "run", wrong, file, code=3)
    assert not (settings.home / "contracts").exists()
    assert "3 rows" in said(settings, "run", right, file)


def test_a_file_with_the_name_of_another_one_is_refused_and_takes_nothing_away(settings, tmp_path):
    for year in ("2023", "2024"):
        (tmp_path / year).mkdir()
        (tmp_path / year / "a.csv").write_text(f"k,v\n{year},a\n")
    mapping = proposed(tmp_path, tmp_path / "2023" / "a.csv")
    both = (tmp_path / "2023" / "a.csv", tmp_path / "2024" / "a.csv")
    assert "another file of that name was migrated" in said(settings, "run", mapping, *both, code=2)


def test_another_mapping_of_the_same_name_is_refused_unless_it_can_follow(settings, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("k,v\n1,a\n2,b\n")
    mapping = proposed(tmp_path, file)
    said(settings, "run", mapping, file)
    mapping.write_text(mapping.read_text().replace('type = "int"', 'type = "text"').replace('forms = ["plain"]', ""))
    assert "was migrated by another mapping" in said(settings, "run", mapping, file, code=3)


KILLS = (
    "after_declare_legacy",
    "after_archive_legacy",
    "before_commit_txn",
    "after_commit_txn@2",
    "after_publish_legacy",
)
KILLS_OF_ROLLBACK = (
    "after_hide_legacy",
    "after_archive_legacy",
    "before_commit_txn",
    "after_commit_txn",
    "after_withdraw_legacy",
)


@pytest.mark.fault
def test_killed_at_any_step_and_repeated_run_and_rollback_bring_and_take_each_row_once(
    settings, pipeline, cli, tmp_path
):
    """Every step of `run` is killed, one after the other, and then every step of `rollback`."""
    file = legacy_system.write_csv(tmp_path / "unified.csv", 300)
    mapping = proposed(tmp_path, file)
    dataset = "legacy_unified"
    small = {"CORRENTEZA_CHUNK_ROWS": "60"}
    for point in KILLS:
        killed = cli("migrate", "run", str(mapping), str(file), **small, CORRENTEZA_FAILPOINT=f"{point}:kill")
        assert killed.returncode == -9, f"{point}: {killed.stderr}"
    assert record.read(settings.home / "migrations", dataset).visible == []
    done = cli("migrate", "run", str(mapping), str(file), **small)
    assert done.returncode == 0, done.stderr
    stream(pipeline, dataset)
    assert problems_of_csv(settings, mapping, file) == []
    good = len(pipeline.rows(f"silver.{dataset}"))
    assert len(pipeline.rows(f"bronze.{dataset}")) == good
    assert pipeline.contradictions(*TOPICS, dataset) == {}

    for point in KILLS_OF_ROLLBACK:
        killed = cli("migrate", "rollback", dataset, "--yes", **small, CORRENTEZA_FAILPOINT=f"{point}:kill")
        assert killed.returncode in (-9, 0), f"{point}: {killed.stderr}"
        assert record.read(settings.home / "migrations", dataset).visible == []
    assert cli("migrate", "rollback", dataset, "--yes", **small).returncode == 0
    stream(pipeline, dataset)
    assert pipeline.rows(f"silver.{dataset}") == []
    assert len(pipeline.rows(f"bronze.{dataset}")) == good
    assert pipeline.contradictions(*TOPICS, dataset) == {}
