"""Secrets may come from files, foreign processes do not get them, and other users cannot read our files."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from correnteza import settings_errors, spark
from correnteza.embedded import processes
from correnteza.embedded.processes import Program, environment, spawn
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from foundation.errors import UsageError
from tests.helpers import ROOT, UNMODIFIED, run_to_its_end

KEY = "canary-9d41"
SECRET_SETTINGS = sorted(settings_errors.secret_variables(Settings.model_fields))


def test_every_secret_setting_can_be_given_as_a_file(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text(json.dumps({"openmeteo_archive": KEY}) + "\n")
    (tmp_path / "url").write_text("http://user:pa/ss@registry:8081\n")
    monkeypatch.setenv("CORRENTEZA_API_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("CORRENTEZA_REGISTRY_URL_FILE", str(tmp_path / "url"))
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("CORRENTEZA_S3_SECRET_KEY_FILE", str(tmp_path / "secret"))
    (tmp_path / "password").write_text("pass word\n")
    monkeypatch.setenv("CORRENTEZA_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("CORRENTEZA_KAFKA_USER", "somebody")
    monkeypatch.setenv("CORRENTEZA_KAFKA_SECURITY", "SASL_SSL")
    for name in ("AIRFLOW_DATABASE", "MLFLOW_TRACKING", "POSTGRES_ADMIN", "QUALITY_DATABASE"):
        monkeypatch.setenv(f"CORRENTEZA_{name}_FILE", str(tmp_path / "url"))
    assert [name.removeprefix("CORRENTEZA_") for name in SECRET_SETTINGS] == [
        "AIRFLOW_DATABASE",
        "API_KEYS",
        "KAFKA_PASSWORD",
        "MLFLOW_TRACKING",
        "POSTGRES_ADMIN",
        "QUALITY_DATABASE",
        "REGISTRY_URL",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
    ]
    settings = Settings()
    assert {settings.tracking, settings.results_of_suites} == {"http://user:pa/ss@registry:8081"}
    assert settings.api_keys["openmeteo_archive"].get_secret_value() == KEY
    assert settings.registry_url == "http://user:pa/ss@registry:8081"
    assert settings.s3_secret_key is not None
    assert settings.s3_secret_key.get_secret_value() == "s3cret"
    assert settings.kafka_password is not None
    assert settings.kafka_password.get_secret_value() == "pass word"
    assert Settings.origins()["api_keys"] == "CORRENTEZA_API_KEYS_FILE"


@pytest.mark.parametrize("content", [None, KEY, "[1]", f'{{"openmeteo_archive": ["{KEY}"]}}'])
def test_a_file_that_is_no_such_secret_is_refused_by_name_and_not_shown(tmp_path, monkeypatch, content):
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("CORRENTEZA_API_KEYS_FILE", str(file))
    with pytest.raises(UsageError, match=r"CORRENTEZA_API_KEYS_FILE|api_keys") as refused:
        Settings()
    assert KEY not in f"{refused.value} {refused.value.hint}"


def test_a_secret_that_is_given_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_API_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("CORRENTEZA_API_KEYS", "{}")
    with pytest.raises(UsageError, match="are both set"):
        Settings()


def test_other_settings_have_no_file(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_TOPIC_PREFIX_FILE", "/dev/null")
    with pytest.raises(UsageError, match="there is no such setting"):
        Settings()


def told(variables):
    """The oracle: what of our secrets an environment tells."""
    return [f"{name} tells {KEY}" for name, value in variables.items() if KEY in value]


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_API_KEYS", json.dumps({"openmeteo_archive": KEY}))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)


def environment_of(program, run):
    """What a program was really started with."""
    child = spawn(program, run)
    try:
        return psutil.Process(child.pid).environ()
    finally:
        child.kill()
        child.wait()


def test_control_a_foreign_program_gets_no_secret_and_one_of_ours_does(tmp_path, keys, control):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    foreign = Program("test", command, tmp_path / "log", is_foreign=True)
    control.holds(told, environment_of(foreign, tmp_path))
    ours = Program("test", command, tmp_path / "log")
    damage = ("CORRENTEZA_API_KEYS tells canary", "AWS_SECRET_ACCESS_KEY tells canary")
    control.objects(told, environment_of(ours, tmp_path), damage=damage)


def test_a_foreign_program_still_gets_what_it_needs_and_its_own_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    found = environment(Program("test", ["true"], tmp_path / "log", variables={"X": "1"}, is_foreign=True))
    assert (found["TZ"], found["PATH"], found["X"]) == ("UTC", os.environ["PATH"], "1")
    assert set(found) <= processes.FOREIGN_GET | {"X"}


@pytest.mark.integration
def test_the_jvms_of_broker_and_registry_hold_no_secret(home, keys):
    with Stack(Settings(home=home)) as stack:
        jvms = {name: psutil.Process(each.pid).environ() for name, each in stack.processes.items()}
    assert sorted(jvms) == ["broker", "registry"]
    assert [told(variables) for variables in jvms.values()] == [[], []]
    assert "CORRENTEZA_API_KEYS" in os.environ


def child_environment():
    """What a process that is started now is told."""
    answer = subprocess.run(
        [sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name: value for name, value in json.loads(answer.stdout).items() if name.startswith("CORRENTEZA_")}


def test_control_spark_s_jvm_is_started_without_our_secrets(keys, control):
    with spark._secrets_kept():
        inside = child_environment()
    control.holds(told, inside)
    control.objects(told, child_environment(), damage="CORRENTEZA_API_KEYS tells canary")


def open_to_others(home: Path):
    """The oracle: what of a home others may reach, the home itself first."""
    return [
        f"{each.name or home} has mode {stat.S_IMODE(each.stat().st_mode):04o}"
        for each in (home, *home.rglob("*"))
        if stat.S_IMODE(each.stat().st_mode) & 0o077
    ]


PUBLIC = """
from foundation import files
files.keep_private = lambda: 0
from correnteza.cli import main
main()
"""


def test_control_what_a_command_makes_at_home_is_its_user_s_alone(tmp_path, control):
    def made(name: str, *start: str) -> Path:
        home = tmp_path / name
        done = run_to_its_end(Settings(home=home), tmp_path, start, ["maintain"], {})
        assert done.returncode == 0, done.stderr
        assert (home / "audit.jsonl").exists()
        return home

    control.holds(open_to_others, made("private", *UNMODIFIED))
    control.objects(open_to_others, made("public", "-c", PUBLIC), damage=("has mode 0755", "audit.jsonl has mode 0644"))


def test_what_set_up_installs_may_be_run_by_others_than_its_installer(tmp_path):
    variables = {"CORRENTEZA_JARS": str(tmp_path / "jars")}
    done = run_to_its_end(Settings(home=tmp_path), tmp_path, UNMODIFIED, ["setup", "--offline", "nowhere"], variables)
    assert done.returncode == 4, done.stderr
    assert stat.S_IMODE((tmp_path / "jars").stat().st_mode) == 0o755


def test_a_file_that_a_user_asked_for_has_the_mode_of_their_umask(tmp_path):
    arguments = ["query", "SELECT 1 AS one", "--output", str(tmp_path / "one.csv")]
    variables = {**os.environ, "CORRENTEZA_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    command = " ".join(f"'{each}'" for each in [sys.executable, *UNMODIFIED, *arguments])
    subprocess.run(["sh", "-c", f"umask 027; {command}"], env=variables, cwd=tmp_path, check=True, capture_output=True)
    assert stat.S_IMODE((tmp_path / "one.csv").stat().st_mode) == 0o640
