"""Contracts that change while the pipeline runs, ids that are not known yet, a registry that does not answer: F6,
F30."""

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from correnteza import topics
from foundation.errors import TransientError
from schemas import registry as registries
from schemas.contracts import Contract
from schemas.registry import Registry
from sinks import tables
from stream_jobs.bronze import known_schemas
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.tables.dim_weather_station import TABLE as STATIONS
from tests.helpers import wait_for
from tests.pipeline import Pipeline, pipeline
from tests.proxy import Proxy
from tests.records import PUBLISHED, framed, publish
from tests.releases import Release, defaults, gains, loses, releases
from tests.spark_fixtures import spark
from tests.supervised import kept_running

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

DATASET = "inmet_stations"
BRONZE, SILVER, REVISIONS = f"bronze.{DATASET}", f"silver.{DATASET}", f"silver.{DATASET}_revisions"
TABLES = (BRONZE, SILVER, REVISIONS, f"gold.{STATIONS.name}")

OWNER = gains("owner", ["null", "string"], None)
BLOCK = gains("wmo_block", "long", 83)
"""A field that is never null, so records of older versions get its default."""


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    with releases(tmp_path / "contracts", DATASET, partitions=2) as made:
        yield made


def declare(pipeline: Pipeline, *versions: Contract) -> list[int]:
    """The topic, and each version registered, oldest first; returns their schema ids."""
    topics.apply(pipeline.broker.bootstrap, versions[:1], pipeline.broker.prefix)
    return [pipeline.registry.register([each], pipeline.broker.prefix)[DATASET] for each in versions]


def station(number: int, **fields: Any) -> dict[str, Any]:
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1), "row_number": number, **fields}


def send(
    pipeline: Pipeline, contract: Contract, schema_id: int, *records: dict[str, Any], partition: int = 0
) -> list[bytes]:
    """Publish as a producer of that contract does; returns the bytes."""
    known = [{name: value for name, value in each.items() if name in contract.fields} for each in records]
    messages = [(each["station_code"].encode(), framed(contract.schema, schema_id, each)) for each in known]
    publish(pipeline.broker.bootstrap, pipeline.topic(DATASET), messages, partition=partition)
    return [value for _, value in messages]


def run(pipeline: Pipeline) -> None:
    """Every layer up to the present, by a driver of the release that is loaded."""
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET), GoldJob(STATIONS, pipeline.driver))


def wrong(pipeline: Pipeline) -> dict[str, list[str]]:
    """What `verify` finds; the records came without manifests, and only the driver writes the static tables."""
    found = pipeline.contradictions(DATASET, without=("manifests = rows",))
    return {check: what for check, what in found.items() if not check.endswith("= reference")}


def misfiled(pipeline: Pipeline) -> list[str]:
    """The oracle: every record is under a schema that the registry has, so every one decodes."""
    return [f"record {n} is filed as {status}" for n, status in enumerate(statuses(pipeline)) if status != "ok"]


def by_place(pipeline: Pipeline) -> dict[tuple[int, int], dict[str, Any]]:
    """(partition, offset) → bronze row."""
    return {(row["partition"], row["offset"]): row for row in pipeline.rows(BRONZE)}


def statuses(pipeline: Pipeline) -> list[str]:
    """Of partition 0, in order; none while there is no table."""
    if not tables.exists(pipeline.places.table(BRONZE)):
        return []
    return [row["decode_status"] for place, row in sorted(by_place(pipeline).items()) if place[0] == 0]


def test_evolution_three_versions_in_one_stream_reach_every_table_without_a_rebuild(pipeline, release):
    """The producers are upgraded first; then the driver, over two versions at once, on the tables that it has."""
    versions = [release(), release(OWNER), release(OWNER, BLOCK)]
    schema_ids = declare(pipeline, *versions)
    sent: dict[tuple[int, int], tuple[int, int, bytes]] = {}

    def publish_from(first: int) -> None:
        for number in range(first, first + 12):
            version, partition = number // 2 % 3, number % 2
            record = station(number, owner=f"o{number}", wmo_block=number)
            [value] = send(pipeline, versions[version], schema_ids[version], record, partition=partition)
            sent[partition, number // 2] = (version, number, value)

    release()
    publish_from(0)
    run(pipeline)
    identities = [tables.identity(pipeline.places.table(name)) for name in TABLES]
    release(OWNER, BLOCK)
    publish_from(12)
    run(pipeline)

    assert [tables.identity(pipeline.places.table(name)) for name in TABLES] == identities
    assert pipeline.offsets(BRONZE) == pipeline.committed(DATASET) == sorted(sent)
    found = by_place(pipeline)
    for place, (version, number, value) in sent.items():
        row, is_upgraded = found[place], number >= 12
        owner = f"o{number}" if is_upgraded and version >= 1 else None
        block = (number if version == 2 else 83) if is_upgraded else None
        assert (row["record"]["station_code"], row["schema_id"]) == (f"A{number:03}", schema_ids[version])
        assert (row["record"]["owner"], row["record"]["wmo_block"]) == (owner, block)
        # What the older reader had no column for is in the bytes.
        assert row["value"] == (value if version and not is_upgraded else None)
    wanted = {f"A{n:03}": found[p]["record"] for p, (_, n, _) in sent.items()}
    for name in (SILVER, REVISIONS):
        rows = {row["station_code"]: row for row in pipeline.rows(name)}
        assert rows.keys() == wanted.keys()
        assert all(
            (rows[code][field], rows[code]["row_number"]) == (wanted[code][field], wanted[code]["row_number"])
            for code in wanted
            for field in ("owner", "wmo_block")
        )
    assert wrong(pipeline) == {}


def test_evolution_control_without_the_raw_bytes_a_newer_writers_field_is_lost(pipeline, release, monkeypatch, control):
    versions = [release(), release(OWNER)]
    schema_ids = declare(pipeline, *versions)
    release()

    def gone(owner: str) -> list[str]:
        """Whether what the newer writer said can be read anywhere in bronze."""
        pipeline.run(pipeline.bronze(DATASET))
        return [] if owner in str(pipeline.rows(BRONZE)) else [f"{owner} stands nowhere in bronze"]

    send(pipeline, versions[1], schema_ids[1], station(1, owner="INMET"))
    control.holds(gone, "INMET")
    monkeypatch.setattr(known_schemas, "_reads_whole", lambda *_: True)
    send(pipeline, versions[1], schema_ids[1], station(2, owner="CEMADEN"))
    control.objects(gone, "CEMADEN", damage="CEMADEN stands nowhere in bronze")


def lose_a_field(pipeline: Pipeline, release: Release) -> bytes:
    """A field is in every table, then a release goes without it; returns what a producer behind the times wrote."""
    versions = [release(), release(loses("region"))]
    schema_ids = declare(pipeline, *versions)
    release()
    send(pipeline, versions[0], schema_ids[0], station(0, region="NE"), station(1, region="NE"))
    run(pipeline)
    release(loses("region"))
    later = {"retrieved_at": PUBLISHED + timedelta(days=1), "chunk_id": "chunk-2", "name": "SALVADOR"}
    send(pipeline, versions[1], schema_ids[1], station(0, **later), station(2, **later))
    [behind] = send(pipeline, versions[0], schema_ids[0], station(1, region="SE", **later))
    return behind


@pytest.mark.slow
def test_evolution_a_field_removed_stays_in_the_tables_and_in_the_bytes_of_who_still_writes_it(pipeline, release):
    behind = lose_a_field(pipeline, release)
    run(pipeline)
    versions = [pipeline.version(name) for name in TABLES]
    run(pipeline)

    assert [pipeline.version(name) for name in TABLES] == versions, "a column that is left over is nothing to write"
    assert pipeline.offsets(BRONZE) == pipeline.committed(DATASET)
    assert [row["value"] for _, row in sorted(by_place(pipeline).items())] == [None, None, None, None, behind]
    current = {row["station_code"]: (row["region"], row["name"]) for row in pipeline.rows(SILVER)}
    assert current == dict.fromkeys(("A000", "A001", "A002"), (None, "SALVADOR"))
    before = sorted(row["station_code"] for row in pipeline.rows(REVISIONS) if row["region"] == "NE")
    assert before == ["A000", "A001"]
    assert wrong(pipeline) == {}


@pytest.mark.slow
def test_evolution_a_default_changed_touches_nothing_that_was_written_and_nothing_that_was_read(pipeline, release):
    versions = [release(), release(BLOCK), release(BLOCK, defaults("wmo_block", 99))]
    schema_ids = declare(pipeline, *versions)
    for number, changes in enumerate(((BLOCK,), (BLOCK, defaults("wmo_block", 99)))):
        release(*changes)
        send(pipeline, versions[0], schema_ids[0], station(10 + number))
        send(pipeline, versions[1], schema_ids[1], station(20 + number, wmo_block=83))
        pipeline.run(pipeline.bronze(DATASET))

    found = {row["record"]["station_code"]: row["record"]["wmo_block"] for row in pipeline.rows(BRONZE)}
    assert found == {"A010": 83, "A020": 83, "A011": 99, "A021": 83}


@pytest.mark.slow
def test_evolution_silver_of_an_older_release_runs_on_a_bronze_table_with_new_columns(pipeline, release):
    """Layers may be processes of their own, and are not upgraded in one instant."""
    versions = [release(), release(OWNER)]
    schema_ids = declare(pipeline, *versions)
    release()
    send(pipeline, versions[0], schema_ids[0], station(0))
    pipeline.run(pipeline.bronze(DATASET))
    silver = pipeline.silver(DATASET)

    def stations() -> set[str]:
        return {row["station_code"] for row in pipeline.rows(SILVER)} if exists() else set()

    def exists() -> bool:
        return tables.exists(pipeline.places.table(SILVER))

    with kept_running(silver) as [counted]:
        wait_for(lambda: stations() == {"A000"}, "the first record is in silver")
        release(OWNER)
        send(pipeline, versions[1], schema_ids[1], station(1, owner="INMET"))
        pipeline.run(pipeline.bronze(DATASET))
        assert by_place(pipeline)[0, 1]["record"]["owner"] == "INMET"
        wait_for(lambda: stations() == {"A000", "A001"}, "silver goes on by itself")
    assert counted.failures, "Delta ends a stream whose table is widened: the supervisor starts it again"


class RegistryWithHiddenIds:
    """A registry that does not know some ids yet: those in `hidden`."""

    def __init__(self, registry: Registry, hidden: int) -> None:
        self._registry = registry
        self.hidden: int | None = hidden
        self.asked: list[float] = []

    def versions(self, subject: str) -> list[tuple[int, int, str]]:
        return [each for each in self._registry.versions(subject) if each[0] != self.hidden]

    def schema_by_id(self, schema_id: int) -> str | None:
        self.asked.append(time.monotonic())
        return None if schema_id == self.hidden else self._registry.schema_by_id(schema_id)


@pytest.mark.slow
def test_f30_an_id_that_the_registry_denies_is_filed_after_a_grace_and_decodes_once_it_is_registered(pipeline, release):
    versions = [release(), release(OWNER)]
    schema_ids = declare(pipeline, *versions)
    contract = release(OWNER)
    registry = RegistryWithHiddenIds(pipeline.registry, hidden=schema_ids[1])
    send(pipeline, versions[0], schema_ids[0], station(0))
    [early] = send(pipeline, versions[1], schema_ids[1], station(1, owner="INMET"))
    job = pipeline.bronze(DATASET, registry=registry)
    with kept_running(job) as [counted]:
        wait_for(lambda: statuses(pipeline) == ["ok", "unknown_schema"], "the record is filed")
        assert registry.asked[-1] - registry.asked[0] >= known_schemas.GRACE_SECONDS
        filed = by_place(pipeline)[0, 1]
        assert (filed["schema_id"], filed["value"], filed["record"]) == (schema_ids[1], early, None)

        registry.hidden, starts = None, len(counted.queries)
        job._known_schemas.refresh([contract])  # as the driver does twice a minute
        wait_for(lambda: len(counted.queries) > starts, "the query is planned again")
        send(pipeline, versions[1], schema_ids[1], station(2, owner="INMET"))
        wait_for(lambda: len(statuses(pipeline)) == 3, "the next record is in bronze")
    assert statuses(pipeline) == ["ok", "unknown_schema", "ok"]
    assert by_place(pipeline)[0, 2]["record"]["owner"] == "INMET"
    assert pipeline.offsets(BRONZE) == pipeline.committed(DATASET)


def register_beside_a_running_query(pipeline: Pipeline, release: Release, registry: Any) -> Any:
    """A bronze query whose plan is older than the version that its records come under."""
    older, newer = release(), release(OWNER)
    [first] = declare(pipeline, older)
    send(pipeline, older, first, station(0))
    job = pipeline.bronze(DATASET, registry=registry)
    pipeline.run(job)
    [second] = declare(pipeline, newer)
    send(pipeline, older, first, station(1))
    pipeline.run(job)
    send(pipeline, newer, second, station(2, owner="INMET"))
    return job


@pytest.mark.slow
def test_f30_control_without_asking_the_registry_a_good_record_is_filed_as_unknown(
    pipeline, release, monkeypatch, control
):
    job = register_beside_a_running_query(pipeline, release, pipeline.registry)
    control.holds(misfiled, pipeline)
    monkeypatch.setattr(known_schemas, "MOST_UNKNOWN", 0)
    pipeline.run(job)
    control.objects(misfiled, pipeline, damage="record 2 is filed as unknown_schema")


@pytest.fixture
def elsewhere(pipeline: Pipeline) -> Iterator[tuple[Registry, Proxy]]:
    """The same registry behind a port that a test can close. The process's cache is not used."""
    host, port = pipeline.settings.registry.split("/")[2].split(":")
    with Proxy((host, int(port))) as proxy:
        yield Registry(pipeline.settings.registry.replace(f"{host}:{port}", proxy.address)), proxy


@pytest.mark.slow
def test_f6_while_the_registry_is_away_known_ids_go_on_and_a_new_one_waits(pipeline, release, elsewhere):
    registry, proxy = elsewhere
    versions = [release(), release(OWNER)]
    [first] = declare(pipeline, versions[0])
    send(pipeline, versions[0], first, station(0))
    with kept_running(pipeline.bronze(DATASET, registry=registry)) as [counted]:
        wait_for(lambda: len(statuses(pipeline)) == 1, "the first record")
        proxy.mode = "reset"
        send(pipeline, versions[0], first, station(1))
        wait_for(lambda: len(statuses(pipeline)) == 2, "a record under a known id")
        [second] = declare(pipeline, versions[1])
        send(pipeline, versions[1], second, station(2, owner="INMET"))
        wait_for(lambda: counted.failures, "the query stops to ask")
        assert statuses(pipeline) == ["ok", "ok"]
        proxy.mode = "pass"
        wait_for(lambda: len(statuses(pipeline)) == 3, "the record that waited")
    assert statuses(pipeline) == ["ok", "ok", "ok"]
    assert pipeline.offsets(BRONZE) == pipeline.committed(DATASET)


@pytest.mark.slow
def test_f6_control_no_answer_taken_for_a_denial_files_a_good_record_as_unknown(
    pipeline, release, elsewhere, monkeypatch, control
):
    registry, proxy = elsewhere
    job = register_beside_a_running_query(pipeline, release, registry)
    look_up = registry.schema_by_id

    def without_asking(schema_id: int) -> str | None:
        try:
            return look_up(schema_id)
        except TransientError:
            return None

    proxy.mode = "reset"
    with kept_running(job) as [counted]:
        wait_for(lambda: counted.failures, "the query stops to ask")
        control.holds(misfiled, pipeline)  # it waits for an answer, and nothing is filed meanwhile
    monkeypatch.setattr(registry, "schema_by_id", without_asking)
    pipeline.run(job)
    control.objects(misfiled, pipeline, damage="record 2 is filed as unknown_schema")


NO_ANSWERS = [
    (401, ""),
    (403, "<html>forbidden</html>"),
    (404, "<html>no such route</html>"),
    (404, json.dumps({"error_code": 404, "message": "HTTP 404 Not Found"})),
    (429, json.dumps({"error_code": 429, "message": "later"})),
    (500, json.dumps({"error_code": 50001, "message": "the store fails"})),
    (503, ""),
    (200, "<html>please log in</html>"),
    (200, "{}"),
]


@pytest.fixture
def answers(httpserver):
    """A registry that always gives the same answer: (status, body) → its client."""

    def made(status: int, body: str) -> Registry:
        httpserver.expect_request("/schemas/ids/7").respond_with_data(body, status, content_type="application/json")
        registry = Registry(httpserver.url_for(""))
        registry._client._rest_client.max_retries = 0
        return registry

    return made


@pytest.mark.parametrize(("status", "body"), NO_ANSWERS, ids=[f"{s} {b[:9]}" for s, b in NO_ANSWERS])
def test_f30_an_error_that_is_not_the_registrys_own_decides_nothing_about_an_id(answers, status, body):
    with pytest.raises(TransientError):
        answers(status, body).schema_by_id(7)


def test_f30_only_the_registrys_own_error_means_that_there_is_no_such_id(answers):
    assert answers(404, json.dumps({"error_code": 40403, "message": "Schema 7 not found."})).schema_by_id(7) is None


def test_f30_control_by_the_status_alone_a_missing_route_would_make_every_new_id_unknown(answers, monkeypatch, control):
    registry = answers(*NO_ANSWERS[3])

    def taken_for_an_answer() -> list[str]:
        try:
            found = registry.schema_by_id(7)
        except TransientError:
            return []
        return [f"a missing route says that the schema of id 7 is {found}"]

    control.holds(taken_for_an_answer)
    monkeypatch.setattr(registries, "_NO_SUCH_THING", (404,))
    control.objects(taken_for_an_answer, damage="says that the schema of id 7 is None")
