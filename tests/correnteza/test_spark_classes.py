"""Spark's class archive: set-up makes it, and Java takes the classes of a session from it."""

import subprocess
import sys
from pathlib import Path

import pyspark

from correnteza.embedded import class_archive, jars, java
from correnteza.settings import Settings
from stream_jobs.running.class_path import class_path_of
from tests.spark_fixtures import spark

__all__ = ["spark"]

SUBMIT = "org.apache.spark.deploy.SparkSubmit"


def test_the_jvm_of_a_session_maps_the_archive_that_set_up_made(spark):
    archive = class_archive.of_spark(Settings())
    assert archive.exists()
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    mapped = Path(f"/proc/{pid}/maps").read_text()
    assert str(archive) in mapped


def parsed(class_path: list[Path]) -> list[str]:
    """What a JVM with this class path before the launcher's parses instead of taking it from the archive."""
    own = Path(pyspark.__file__).parent
    launchers = [own / "conf", *own.glob("jars/slf4j-api-*.jar"), own / "jars" / "*"]
    command = [java.java(Settings()) / "bin" / "java", "-Xlog:class+load", "-Xss4m"]
    command += class_archive.used(class_archive.of_spark(Settings()))
    command += ["-cp", ":".join(map(str, [*class_path, *launchers])), SUBMIT, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (source,) = (line.partition("source: ")[2] for line in done.stdout.splitlines() if f" {SUBMIT} source" in line)
    return [] if source == "shared objects file (top)" else [f"{SUBMIT} comes from {source}"]


def test_control_with_the_launcher_s_class_path_alone_java_refuses_the_archive(control):
    kit = jars.class_path(jars.folder(Settings()), "spark")
    control.holds(parsed, class_path_of(kit))
    control.objects(parsed, kit, damage=f"{SUBMIT} comes from file:")


def test_an_archive_that_cannot_be_made_is_an_answer_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    settings = Settings(jars=tmp_path)
    assert class_archive.make_of_spark(settings) == "it wrote no file"
    assert class_archive.used(class_archive.of_spark(settings)) == []
