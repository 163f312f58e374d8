"""`config show` prints every setting without secrets; `config validate` finds what cannot work."""

import json

import pytest
from typer.testing import CliRunner

from correnteza.cli import app
from correnteza.commands import config
from correnteza.settings import Settings
from foundation.errors import UsageError

KEY, PASSWORD = "canary-2b7e", "canary-8c13"


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "correnteza.toml").write_text('chunk_rows = 500\ntopic_prefix = "a."', encoding="utf-8")
    monkeypatch.setenv("CORRENTEZA_TOPIC_PREFIX", "b.")
    monkeypatch.setenv("CORRENTEZA_API_KEYS", json.dumps({"openmeteo_archive": KEY}))
    monkeypatch.setenv("CORRENTEZA_REGISTRY_URL", f"http://somebody:{PASSWORD}@registry:8081/?token={KEY}")


def run(*arguments):
    return CliRunner().invoke(app, ["config", *arguments])


def secrets_in(text: str) -> list[str]:
    return [f"{secret} is shown" for secret in (KEY, PASSWORD) if secret in text]


def test_show_prints_every_setting_with_its_origin():
    found = {each["setting"]: each for each in json.loads(run("show", "--origin", "--json").stdout)}
    assert list(found) == list(Settings.model_fields)
    assert (found["topic_prefix"]["value"], found["topic_prefix"]["origin"]) == ("b.", "CORRENTEZA_TOPIC_PREFIX")
    assert (found["chunk_rows"]["value"], found["chunk_rows"]["origin"]) == (500, "correnteza.toml")
    assert (found["profile"]["value"], found["profile"]["origin"]) == ("dev", "default")
    assert found["api_keys"]["value"] == {"openmeteo_archive": "***"}
    assert found["registry_url"]["value"] == "http://***@registry:8081/?***"
    assert "origin" not in run("show").stdout


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"], ["--origin"]])
def test_show_prints_no_secret(form):
    assert secrets_in(run("show", *form).stdout) == []


def test_a_key_in_the_place_of_a_name_is_not_shown_either(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_API_KEYS", json.dumps({KEY: "openmeteo_archive"}))
    assert secrets_in(run("show").stdout) == []
    assert secrets_in(str(run("validate").exception)) == []


def test_control_without_the_mask_show_would_print_the_password(control, monkeypatch):
    control.holds(secrets_in, run("show").stdout)
    monkeypatch.setattr(config, "redacted", lambda text: text)
    control.objects(secrets_in, run("show").stdout, damage="canary-8c13")


def test_validate_says_that_all_is_well():
    assert run("validate").stdout == "the settings are valid: 4 set, 48 defaults\n"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BASE_URLS", '{"nobody": "http://a"}', "base_urls names 'nobody': no such source"),
        ("BASE_URLS", '{"bcb_sgs": "mirror"}', "base_urls of bcb_sgs must be an http"),
        ("REGISTRY_URL", "registry:8081", "registry_url must be an http"),
        ("KAFKA_BOOTSTRAP", "broker", "kafka_bootstrap must be host:port"),
        ("JAVA_HOME", "/nowhere/jdk", "java_home: there is no /nowhere/jdk"),
        ("S3_ENDPOINT", "store:8333", "s3_endpoint must be an http"),
        ("S3_ACCESS_KEY", "key", "s3_access_key and s3_secret_key go together"),
        ("LAKE", "gs://lake", "lake must be a folder or s3://<bucket>/<prefix>"),
    ],
)
def test_validate_finds_what_has_the_right_type_and_cannot_work(monkeypatch, name, value, message):
    monkeypatch.setenv(f"CORRENTEZA_{name}", value)
    found = run("validate").exception
    assert isinstance(found, UsageError)
    assert str(found).startswith(message)


def test_several_brokers_are_valid(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_KAFKA_BOOTSTRAP", "one:9092,two:9092,[::1]:9092")
    assert run("validate").exit_code == 0
