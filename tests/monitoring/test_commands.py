"""The commands: output and exit codes."""

import json
import os
import re
from datetime import UTC, datetime

import fastavro
import pytest

from correnteza.commands import status
from correnteza.settings import Settings
from monitoring.lag.kafka import Cluster
from producers.archive import Archive
from replay.server import serve
from schemas.contracts import datasets, load_all
from schemas.registry import Registry
from tests.helpers import run_here
from tests.monitoring.kit import Kit, small_lake, write_checkpoint


@pytest.fixture(scope="module")
def lake_home(tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    small_lake(root)
    return root


def run(lake_home, *arguments, **variables):
    return run_here(Settings(home=lake_home), arguments, variables)


def test_query_prints_aligned_columns_json_or_csv(lake_home):
    sql = "select series_code, reference_on, value from silver.bcb_sgs where series_code = 432"
    assert run(lake_home, "query", sql).stdout == (
        "series_code  reference_on             value\n"
        "        432  2024-03-05    10.7500000000000\n"
        "(1 row)\n"
    )  # fmt: skip
    assert json.loads(run(lake_home, "query", sql, "--json").stdout) == [
        {"series_code": 432, "reference_on": "2024-03-05", "value": "10.7500000000000"}
    ]
    assert run(lake_home, "query", sql, "--csv").stdout == (
        "series_code,reference_on,value\n432,2024-03-05,10.7500000000000\n"
    )


def test_query_with_a_wrong_statement_exits_2_and_names_the_tables(lake_home):
    found = run(lake_home, "query", "select * from silver.nonsense")
    assert (found.returncode, found.stdout) == (2, "")
    assert "silver.inmet_hourly_revisions" in found.stderr
    assert "Traceback" not in found.stderr


def test_as_of_prints_the_versions_of_an_instant(lake_home):
    found = run(lake_home, "as-of", "bcb_sgs", "2023-03-20", "--where", "series_code = 433", "--json")
    assert [row["reference_on"] for row in json.loads(found.stdout)] == ["2023-02-01"]
    assert run(lake_home, "as-of", "nonsense", "2024-01-01").returncode == 2


def test_verify_without_a_broker_exits_4(lake_home):
    found = run(lake_home, "verify")
    assert found.returncode == 4, found.stderr
    assert "correnteza up" in found.stderr


@pytest.mark.parametrize("bootstrap", [None, "127.0.0.1:9"])
def test_status_without_a_broker_shows_the_other_values_and_why(lake_home, bootstrap):
    where = {"CORRENTEZA_KAFKA_BOOTSTRAP": bootstrap} if bootstrap else {}
    found = run(lake_home, "status", **where)
    assert found.returncode == 0, found.stderr
    assert "what bronze has not read yet cannot be known" in found.stderr
    assert "correnteza up" in found.stderr
    lines = {line.split()[0]: re.split(r" {2,}", line) for line in found.stdout.splitlines()}
    assert lines["bronze.bcb_sgs"][1:4] == ["not started", "?", "?"]
    assert lines["silver.bcb_sgs"][1] == "not started"
    assert lines["silver.bcb_sgs"][2] != "?"
    document = json.loads(run(lake_home, "status", "--json", **where).stdout)
    assert [each["service"] for each in document["unreachable"]] == ["kafka"]


def test_status_gives_its_rows_as_csv_and_in_a_file(lake_home, tmp_path):
    header, *rows = run(lake_home, "status", "--csv").stdout.splitlines()
    assert header.split(",")[:5] == ["layer", "table", "source", "state", "records_behind"]
    assert len(rows) > 30
    run(lake_home, "status", "--output", str(tmp_path / "status.csv"))
    assert len((tmp_path / "status.csv").read_text().splitlines()) == len(rows) + 1
    assert run(lake_home, "status", "--watch", "--json").returncode == 2
    assert run(lake_home, "status", "5").returncode == 2


def test_status_watch_looks_until_it_is_stopped(lake_home, monkeypatch, capsys):
    monkeypatch.setenv("CORRENTEZA_HOME", str(lake_home))
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "_wait", wait)
    status.command(5, watch=True)
    assert waits == [5, 5]
    assert capsys.readouterr().out.count("records behind") == 2


def test_maintain_says_what_it_would_do_without_a_broker_and_names_the_tables_there_are(lake_home):
    found = run(lake_home, "maintain", "--dry-run")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert re.split(r" {2,}", lines[0])[3:] == ["log files", "would compact", "would remove", "held back by"]
    assert "silver.inmet_hourly_revisions" in found.stdout
    assert "tables have something to do" in lines[-1]
    assert "payload archive: not looked at" in found.stderr
    assert json.loads(run(lake_home, "maintain", "--dry-run", "--json").stdout)["payloads"] is None
    assert run(lake_home, "maintain", "--json").returncode == 2
    wrong = run(lake_home, "maintain", "silver.nonsense")
    assert (wrong.returncode, "silver.inmet_hourly_revisions" in wrong.stderr) == (2, True)
    assert run(lake_home, "maintain", "silver.inmet_hourly").returncode == 0


@pytest.fixture
def bronze(settings, prefix, here):
    """Two sources really polled into Kafka and the archive; bronze written from the topics without Spark."""
    assert here("topics", "apply").returncode == 0
    with serve(day=2) as replay:
        for source in ("bcb_sgs", "anatel_broadband_accesses"):
            polled = here("poll", source, "--once", CORRENTEZA_BASE_URLS=json.dumps(replay.base_urls))
            assert polled.returncode == 0, polled.stderr
    kit = Kit(settings.home)
    registry = Registry(settings.registry_url)
    versions = [each for contract in load_all().values() for each in registry.versions(f"{prefix}{contract.subject}")]
    kit.write_schemas({schema_id: json.loads(text) for schema_id, _, text in versions})
    cluster = Cluster(settings.bootstrap)
    names = {prefix + contract.topic: name for name, contract in load_all().items() if not contract.compacted}
    for topic in cluster.topics(names).values():
        rows = []
        for partition, bounds in topic.partitions.items():
            for batch in cluster.read(topic.name, partition, bounds.first, bounds.stable):
                rows += [
                    kit.bronze_row(topic, partition, message, decode(names[topic.name], message)) for message in batch
                ]
        kit.write_bronze(names[topic.name], rows)
        ends = {str(partition): bounds.stable for partition, bounds in topic.partitions.items()}
        query = f"bronze.{names[topic.name].replace('.', '_')}"
        write_checkpoint(settings.checkpoints, query, batch=0, sources=[{topic.name: ends}])
    return kit


def decode(name, message):
    import io

    return fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), load_all()[name].schema)


@pytest.mark.integration
def test_verify_holds_over_what_the_producers_published_and_names_what_is_then_taken_away(bronze, here):
    found = here("verify", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    report = json.loads(found.stdout)
    assert (report["schema"], report["holds"]) == (1, True)
    rows = {each["check"]: each["rows"] for each in report["checks"]}
    assert 200 < rows["decoded = record"] < 1000
    assert rows["bronze = topic"] > rows["payload = published + rejected"] > 5000

    bronze.remove_a_file("bronze.anatel_broadband_totals")
    found = here("verify", "--full")
    assert found.returncode == 3
    assert (
        "anatel_broadband_totals.v1/0): 163 committed records are not in bronze\n        offsets 0-162\n"
        in found.stdout
    )
    assert "data files are whole; manifests = rows; bronze = topic" in found.stderr


@pytest.mark.integration
def test_verify_finds_a_payload_that_is_gone_and_one_that_was_changed(bronze, here, settings):
    manifests = bronze.rows("bronze.ingest_manifests", "true").to_pylist()
    published = sorted({manifest["record"]["payload_sha256"] for manifest in manifests})
    archived = [settings.archive_root / "sha256" / sha256[:2] / sha256 for sha256 in published]
    archived[0].unlink()
    archived[1].write_bytes(archived[1].read_bytes()[:-1] + b"!")
    found = here("verify", "--json")
    assert found.returncode == 3
    (failed,) = (each for each in json.loads(found.stdout)["checks"] if not each["holds"])
    assert failed["check"] == "payload = published + rejected"
    assert {each["what"] for each in failed["findings"]} == {
        "a published payload is gone or cut short", "a payload's bytes do not hash to its name",
    }  # fmt: skip


@pytest.mark.integration
def test_verify_finds_a_manifest_that_counts_other_rows_than_its_payload_holds(bronze, here):
    """Rows and manifest agree with each other, and both lack a row of the payload."""
    counted = "record['rows_published']"
    bronze.change_struct("bronze.ingest_manifests", "rows_published", f"{counted} - 1")
    found = json.loads(here("verify", "--json").stdout)
    (failed,) = (each for each in found["checks"] if each["check"] == "payload = published + rejected")
    assert not failed["holds"]
    assert "the payload holds" in failed["findings"][0]["what"]


@pytest.mark.integration
@pytest.mark.usefixtures("patient")
def test_status_counts_what_bronze_and_silver_have_not_read(bronze, here, settings):
    topic = f"{settings.topic_prefix}bcb_sgs.v1"
    write_checkpoint(settings.checkpoints, "bronze.bcb_sgs", batch=1, sources=[{topic: {"0": 100}}])
    found = here("status", "--json")
    assert found.returncode == 0, found.stderr
    (taken,) = (each for each in json.loads(found.stdout)["tables"] if each["table"] == "bronze.bcb_sgs")
    assert (taken["files"], taken["log_files"]) == (1, 1)
    lines = {f"{each['layer']}.{each['table']}": each for each in json.loads(found.stdout)["layers"]}
    assert {f"bronze.{name}" for name in datasets()} < lines.keys()
    assert (lines["bronze.anatel_broadband_totals"]["state"], lines["bronze.bcb_sgs"]["state"]) == ("ok", "behind")
    assert lines["bronze.bcb_sgs"]["records_behind"] > 5000
    assert 0 < lines["bronze.bcb_sgs"]["seconds_behind"] < 600
    assert (lines["silver.bcb_sgs"]["state"], lines["silver.bcb_sgs"]["records_behind"]) == ("not_started", 5361)


@pytest.mark.integration
def test_control_maintain_lists_a_payload_that_nothing_refers_to_and_removes_it_only_by_the_setting(
    bronze, here, settings, control
):
    """Every published payload is as old as the stray one."""
    archive = Archive(settings.archive_root)
    stray = archive.put([b"never published"], {"source": "bcb_sgs", "url": "https://example.org/x"})
    for file in settings.archive_root.rglob("*"):
        if file.is_file():
            os.utime(file, (1.7e9, 1.7e9))
    published = {sha256 for sha256, _ in archive.names()} - {stray.sha256}

    found = json.loads(here("maintain", "--dry-run", "--json").stdout)
    assert [(each["sha256"], each["url"]) for each in found["payloads"]] == [(stray.sha256, "https://example.org/x")]
    assert "stay until archive_keep_days is set" in here("maintain", "--dry-run").stdout
    assert here("maintain").returncode == 0
    assert archive.get(stray.sha256)

    topic = f"{settings.topic_prefix}ingest.manifests.v1"
    write_checkpoint(settings.checkpoints, "bronze.ingest_manifests", batch=1, sources=[{topic: {"0": 1}}])
    behind = here("maintain", CORRENTEZA_ARCHIVE_KEEP_DAYS="30")
    assert "bronze.ingest_manifests has not read its topic to the end" in behind.stderr
    assert archive.get(stray.sha256)

    write_checkpoint(settings.checkpoints, "bronze.ingest_manifests", batch=2, sources=[{topic: {"0": 10**6}}])
    removed = here("maintain", CORRENTEZA_ARCHIVE_KEEP_DAYS="30")
    assert "payload archive: 1 payloads were removed" in removed.stdout
    assert {sha256 for sha256, _ in archive.names()} == published

    def verified() -> list[str]:
        checks = json.loads(here("verify", "--full", "--json").stdout)["checks"]
        return [finding["what"] for each in checks for finding in each["findings"]]

    write_checkpoint(settings.checkpoints, "bronze.ingest_manifests", batch=3, sources=[{topic: ends(settings, topic)}])
    control.holds(verified)
    for sha256 in published:  # as if no manifest counted; one alone may be a payload that brought nothing new
        archive.remove(sha256, datetime.now(UTC))
    control.objects(verified, damage="a published payload is gone")


def ends(settings, topic):
    partitions = Cluster(settings.bootstrap).topics([topic])[topic].partitions
    return {str(partition): bounds.stable for partition, bounds in partitions.items()}
