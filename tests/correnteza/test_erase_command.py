"""`erase` refuses what it cannot complete, and never prints the key."""

import json

import pytest

from correnteza.places import places
from correnteza.settings import Settings
from sinks.locks import exclusive
from tests.helpers import run_here

STATIONS, KEY = "anatel_base_stations", "license_row_id=529982247"
NOTE = ("--note", "request 17")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing", KEY), "no dataset nothing"),
        (("ingest.manifests", "chunk_id=1"), "no dataset ingest.manifests"),
        ((STATIONS, "cnpj=1"), "license_row_id is missing"),
        ((STATIONS, KEY, "cnpj=1"), "cnpj is no column of it"),
        ((STATIONS, "license_row_id="), "it is empty"),
        ((STATIONS, "529982247"), "is not COLUMN=VALUE"),
        ((STATIONS, KEY), "an erasure needs a reason"),
        ((STATIONS, KEY, "--note", "row 529982247 of request 17"), "the note holds the key"),
    ],
)
def test_a_missing_key_and_a_key_that_would_be_logged_are_refused(tmp_path, arguments, words):
    refused = run_here(Settings(home=tmp_path), ["erase", *arguments])
    assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "audit.jsonl").exists()


def test_a_key_that_is_nowhere_changes_nothing_and_leaves_no_line(settings, here):
    done = here("erase", STATIONS, KEY, *NOTE, "--yes")
    assert (done.returncode, "nothing to erase" in done.stdout) == (0, True), done.stderr
    assert not (settings.home / "audit.jsonl").exists()


@pytest.mark.parametrize("lock", [f"silver.{STATIONS}", f"bronze.{STATIONS}", "silver.quarantine", "rebuild"])
def test_beside_a_driver_maintenance_a_rebuild_or_a_redrive_it_ends_with_3_and_the_next_command(settings, cli, lock):
    with exclusive(places(settings).locks, lock):
        refused = cli("erase", STATIONS, KEY, *NOTE, "--yes")
    assert (refused.returncode, "try: " in refused.stderr) == (3, True), refused.stderr
    assert "529982247" not in refused.stderr


def test_beside_an_unfinished_rebuild_it_ends_with_3(settings, here):
    folder = places(settings).checkpoints / "rebuild"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"run": "some", "queries": [f"silver.{STATIONS}"]}))
    refused = here("erase", STATIONS, KEY, *NOTE, "--yes")
    assert (refused.returncode, "--abandon" in refused.stderr) == (3, True), refused.stderr
