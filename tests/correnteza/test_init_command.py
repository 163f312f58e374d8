"""`correnteza init` writes the settings of a new installation once, readable by its user alone."""

import json
import stat
import tomllib

import pytest

from correnteza.commands import init
from correnteza.settings import Settings
from foundation.errors import UsageError


def values(text):
    """Name → value of a .env."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def test_both_files_are_written_for_their_user_alone_with_new_secrets(tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        init.command(folder)
    files = [folder / name for folder in (tmp_path, tmp_path / "other") for name in (".env", "correnteza.toml")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    first, second = (values((folder / ".env").read_text()) for folder in (tmp_path, tmp_path / "other"))
    assert set(first) == set(init.SECRETS)
    assert all(len(first[name]) >= 64 and first[name] != second[name] for name in first)


def test_the_settings_file_is_read(tmp_path, monkeypatch):
    init.command(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert tomllib.loads((tmp_path / "correnteza.toml").read_text()) == {"profile": "prod"}
    assert Settings().profile == "prod"


def test_for_a_replay_the_sources_and_the_clock_are_the_recorded_ones(tmp_path):
    init.command(tmp_path, replay=True)
    found = values((tmp_path / ".env").read_text())
    assert json.loads(found["CORRENTEZA_BASE_URLS"])["bcb_sgs"].startswith("http://replay:8000/")
    assert found["CORRENTEZA_CLOCK"].startswith("2025-11-12T15:00:00+00:00@1@")
    assert tomllib.loads((tmp_path / "correnteza.toml").read_text())["profile"] == "dev"


def test_lake_and_archive_are_in_the_containers_object_store_if_asked(tmp_path):
    init.command(tmp_path, in_store=True)
    found = values((tmp_path / ".env").read_text())
    places = ("LAKE", "ARCHIVE", "S3_ENDPOINT")
    assert [found[f"CORRENTEZA_{name}"] for name in places] == ["s3://lake", "s3://archive", "http://object-store:8333"]


@pytest.mark.parametrize("there", [".env", "correnteza.toml"])
def test_nothing_is_overwritten_and_nothing_written_beside_what_is_there(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match="nothing was written"):
        init.command(tmp_path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(there, "mine")]


def test_no_link_is_followed(tmp_path):
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        init.command(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
