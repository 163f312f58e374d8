"""Tasks in executors of a standalone cluster: the same tables, and the same limits, as in the driver's JVM."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from deltalake import DeltaTable

from correnteza import spark as sessions
from correnteza import topics
from correnteza.embedded.java import spark_java_home
from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable, UsageError
from schemas.contracts import load, load_all
from schemas.registry import Registry
from storage import delta, files, location
from stream_jobs.running import cluster as clusters
from stream_jobs.running.session import AVRO_LIMITS
from tests.clusters import WORKERS, cluster
from tests.controls import complaint
from tests.lake_oracles import order_free_hash, utc
from tests.records import framed, message, of_a_month, publish
from tests.stores import store

__all__ = ["cluster", "store"]

KNOWN = datetime(2024, 2, 8, 12, tzinfo=UTC)
HOSTILE_LENGTH = b"\x82\xe8\xd8\xd8\x03"
"""A text of 500 MB, as Avro writes its length."""


def test_executors_get_what_the_driver_s_jvm_has_and_find_the_driver():
    found = clusters.of_executors("spark://127.0.0.1:7077,127.0.0.2", "/jars/a.jar:/jars/b.jar", ["-Xss4m", "-Dx=1"])
    assert found == {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.extraClassPath": "/jars/a.jar:/jars/b.jar",
        "spark.executor.extraJavaOptions": '"-Xss4m" "-Dx=1"',
    }
    assert [clusters.is_local(each) for each in ("local[*]", "local", "spark://a:7077")] == [True, True, False]


def test_a_cluster_without_an_address_is_a_service_that_is_away():
    with pytest.raises(DependencyUnavailable, match="no way to the Spark master"):
        clusters.of_executors("spark://no-such-host.invalid:7077", "", [])


def test_a_lake_on_a_disk_is_refused_before_a_jvm_starts(tmp_path):
    with pytest.raises(UsageError, match="cannot reach a lake on this machine's disk"):
        sessions.start(Settings(home=tmp_path), master="spark://127.0.0.1:7077")


def test_control_a_cluster_that_others_reach_needs_a_secret(control):
    def objections(settings):
        return complaint(lambda: clusters.require_login(settings))

    driver = {"spark.driver.host": "192.0.2.7"}
    control.holds(objections, driver | {"spark.authenticate": "true"})
    control.holds(objections, {"spark.driver.host": "127.0.0.1"})
    control.objects(objections, driver, damage="everybody who reaches 192.0.2.7 could run programs")


def test_another_kind_of_cluster_is_refused(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_SPARK_MASTER", "yarn")
    with pytest.raises(UsageError, match=r"CORRENTEZA_SPARK_MASTER must be local\[\*\] or spark://host:port"):
        Settings()


def hours(number):
    """An hour of one of three stations, with values that differ."""
    return {
        "station_code": f"A{number % 3:03}",
        "observed_at": datetime(2024, 1, 1, 3, tzinfo=UTC) + timedelta(hours=number // 3),
        "air_temperature_celsius": 15 + number % 20 / 10,
        "rain_mm": number % 7 / 10,
        "published_at": KNOWN + timedelta(minutes=number),
        "published_at_basis": "api_field",
    }


def tables(lake):
    """Table → rows and order-free hash of bronze, silver and gold. What `ops` notes of a run is the run's own."""
    found = {}
    for layer in ("bronze", "silver", "gold"):
        for name in files.folders(location.location(lake) / layer):
            table: DeltaTable = delta.table(f"{lake}/{layer}/{name}")
            rows = table.to_pyarrow_table().to_pylist()
            found[f"{layer}.{name}"] = order_free_hash(
                {key: utc(row[key]) for key in sorted(row)}.items() for row in rows
            )
    return found


def differences(one, other):
    """The oracle: tables that two lakes do not both have with the same rows."""
    return [
        f"{name}: {one.get(name)} and {other.get(name)}"
        for name in sorted(one | other)
        if one.get(name) != other.get(name)
    ]


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_control_a_cluster_gives_the_rows_that_one_jvm_gives(cluster, store, settings, cli, tmp_path, control):
    contracts = load_all()
    topics.apply(settings.bootstrap, contracts.values(), settings.topic_prefix)
    ids = Registry(settings.registry).register(contracts.values(), settings.topic_prefix)
    amounts = enumerate(("0.42", "0.43", "0.43"))
    records = {
        "inmet_stations": [
            {"station_code": f"A{n:03}", "valid_from_on": date(2024, 1, 1), "uf": "SP"} for n in range(3)
        ],
        "inmet_hourly": [hours(number) for number in range(300)],
        "bcb_sgs": [
            of_a_month(n, amount, KNOWN + timedelta(days=day)) for day, amount in amounts for n in range(1, 13)
        ],
    }
    for name, each in records.items():
        messages = [message(load(name), ids[name], record) for record in each]
        publish(settings.bootstrap, settings.topic_prefix + load(name).topic, messages)
    station = records["inmet_stations"][0]
    hostile = framed(load("inmet_stations").schema, ids["inmet_stations"], station)[:5] + HOSTILE_LENGTH
    publish(settings.bootstrap, settings.topic_prefix + load("inmet_stations").topic, [(b"A000", hostile)])

    keys = {"CORRENTEZA_S3_ACCESS_KEY": store.access_key, "CORRENTEZA_S3_SECRET_KEY": store.secret_key}
    given = keys | {"CORRENTEZA_S3_ENDPOINT": store.endpoint, "SPARK_CONF_DIR": str(cluster.conf)}
    found = {}
    for name, master in (("cluster", cluster.master), ("one", "local[*]")):
        lake = f"s3://lake/{settings.topic_prefix}{name}"
        own = {"HOME": str(tmp_path / name), "LAKE": lake, "SPARK_MASTER": master}
        done = cli("run", "all", "--once", **given, **{f"CORRENTEZA_{each}": value for each, value in own.items()})
        assert done.returncode == 0, done.stderr[-4000:]
        location.connect(lake, store)
        found[name] = tables(lake)

    assert len(cluster.executors) == WORKERS
    assert all("Finished task" in file.read_text() for file in cluster.executors)
    assert found["one"]["bronze.inmet_hourly"][0] == 300
    assert found["one"]["gold.fact_weather_daily"][0] > 0
    assert found["one"]["bronze.inmet_stations"][0] == 4
    control.holds(differences, found["one"], found["cluster"])
    damaged = found["cluster"] | {"silver.inmet_hourly": (300, 7)}
    control.objects(differences, found["one"], damaged, damage="silver.inmet_hourly: (300, ")


WITHOUT_LIMITS = """
import sys
from pyspark.sql import SparkSession
from stream_jobs.running import cluster
builder = SparkSession.builder.master(sys.argv[1]).config("spark.driver.host", "127.0.0.1")
for option in sys.argv[2:]:
    builder = builder.config("spark.executor.extraJavaOptions", option)
from stream_jobs.running.session import AVRO_LIMITS
cluster.require_properties(builder.getOrCreate(), AVRO_LIMITS)
"""


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_control_an_executor_without_the_avro_limits_is_refused(cluster, settings, control):
    def objections(*options):
        variables = {**os.environ, "JAVA_HOME": str(spark_java_home(settings)), "SPARK_CONF_DIR": str(cluster.conf)}
        command = [sys.executable, "-c", WITHOUT_LIMITS, cluster.master, *options]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        return [] if done.returncode == 0 else done.stderr.strip().splitlines()[-1:]

    control.holds(objections, " ".join(f"-D{name}={value}" for name, value in AVRO_LIMITS.items()))
    control.objects(objections, damage="UnsafeState: an executor runs without org.apache.avro.limits")
