"""A wrong setting is one message that names it and never holds its value; it ends with 2."""

import re
import traceback

import pytest

from correnteza import settings_errors
from correnteza.settings import Settings
from foundation.errors import UsageError

SECRET = "canary-9d41"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused() -> UsageError:
    with pytest.raises(UsageError) as error:
        Settings()
    return error.value


@pytest.mark.parametrize(
    ("name", "value", "must_be"),
    [
        ("CHUNK_ROWS", "many", "a whole number above 0"),
        ("CHUNK_ROWS", "0", "a whole number above 0"),
        ("ARCHIVE_KEEP_DAYS", "-1", "a whole number above 0"),
        ("PROFILE", "production", "one of dev, prod"),
        ("HISTORY_START", '{"bcb_sgs": "yesterday"}', "an object of source names, each with a date such as 2024-01-31"),
        ("API_KEYS", f'{{"bcb_sgs": "{SECRET}"', "an object of source names, each with its key written as JSON"),
        ("API_KEYS", f'["{SECRET}"]', "an object of source names, each with its key"),
        ("BASE_URLS", f'{{"bcb_sgs": {{"{SECRET}": 1}}}}', "an object of source names, each with a URL"),
    ],
)
def test_a_wrong_value_in_the_environment_is_named_with_what_it_must_be(monkeypatch, name, value, must_be):
    monkeypatch.setenv(f"CORRENTEZA_{name}", value)
    error = refused()
    assert str(error) == f"CORRENTEZA_{name} must be {must_be}"
    assert error.exit_code == 2
    assert error.hint is not None
    assert error.hint.startswith(f"export CORRENTEZA_{name}=")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("home = \nprofile", "correnteza.toml is not TOML: see line 1, column 8", "kafka_bootstrap"),
        ('chunk_rows = "many"', "chunk_rows in correnteza.toml must be a whole number above 0", "chunk_rows = 20000"),
        ("chunk_row = 5", "chunk_row in correnteza.toml: there is no such setting", "chunk_rows"),
        (f'api_keys = "{SECRET}"', "api_keys in correnteza.toml must be an object of source names, each", "[api_keys]"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(empty_folder, text, message, hint):
    (empty_folder / "correnteza.toml").write_text(text, encoding="utf-8")
    error = refused()
    assert str(error).startswith(message)
    assert hint in (error.hint or "")


def test_a_file_that_is_no_text_is_refused(empty_folder):
    (empty_folder / "correnteza.toml").write_bytes(b'home = "\xff"')
    assert str(refused()) == "correnteza.toml is not UTF-8 text"


def test_an_object_that_both_hold_names_both(empty_folder, monkeypatch):
    """The names of the two are put together: either may be the wrong one."""
    (empty_folder / "correnteza.toml").write_text('[history_start]\nbcb_sgs = "yesterday"', encoding="utf-8")
    monkeypatch.setenv("CORRENTEZA_HISTORY_START", '{"bcb_ptax": "2024-01-31"}')
    assert str(refused()).startswith("CORRENTEZA_HISTORY_START, correnteza.toml must be an object")
    (empty_folder / "correnteza.toml").write_text('[history_start]\nbcb_sgs = "2024-01-30"', encoding="utf-8")
    assert set(Settings().history_start) == {"bcb_sgs", "bcb_ptax"}
    assert Settings.origins()["history_start"] == "CORRENTEZA_HISTORY_START, correnteza.toml"


def test_every_wrong_setting_is_named_at_once(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_CHUNK_ROWS", "many")
    monkeypatch.setenv("CORRENTEZA_PROFILE", "x")
    assert sorted(re.findall(r"CORRENTEZA_\w+", str(refused()))) == ["CORRENTEZA_CHUNK_ROWS", "CORRENTEZA_PROFILE"]


def test_a_variable_that_is_no_setting_is_refused_but_for_those_of_tests(monkeypatch):
    monkeypatch.setenv("CORRENTEZA_CLOCK", "2024-01-01T00:00:00Z")
    Settings()
    monkeypatch.setenv("CORRENTEZA_HOMME", "x")
    error = refused()
    assert str(error) == "CORRENTEZA_HOMME: there is no such setting"
    assert "CORRENTEZA_HOME?" in (error.hint or "")


def secrets_in(error: BaseException) -> list[str]:
    """The oracle: what a message, its hint and its stack trace tell."""
    said = [*traceback.format_exception(error), str(getattr(error, "hint", ""))]
    return [f"a secret is said: {line.strip()}" for line in said if SECRET in line]


WRONG = (
    {"CORRENTEZA_API_KEYS": f'{{"bcb_sgs": ["{SECRET}"]}}'},
    {"CORRENTEZA_API_KEYS": f'{{"bcb_sgs": "{SECRET}"'},
    {"CORRENTEZA_REGISTRY_URL": f"http://u:{SECRET}@host", "CORRENTEZA_CHUNK_ROWS": f"{SECRET}"},
)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_of_settings_holds_no_secret(monkeypatch, wrong):
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    assert secrets_in(refused()) == []


def test_control_the_words_of_the_library_would_hold_the_secret(monkeypatch, control):
    monkeypatch.setenv("CORRENTEZA_API_KEYS", f'{{"bcb_sgs": ["{SECRET}"]}}')
    control.holds(secrets_in, refused())
    monkeypatch.setattr(settings_errors, "READING", ())
    with pytest.raises(ValueError, match="api_keys") as raised:
        Settings()
    control.objects(secrets_in, raised.value, damage="canary-9d41")
