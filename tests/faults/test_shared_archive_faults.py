"""Pollers on several machines: separate disks, one archive in a store. What one has downloaded no other asks for."""

import json
import signal
import uuid
from collections.abc import Callable
from datetime import date

import pytest

from correnteza import topics
from schemas.contracts import load_all
from tests import oracles
from tests.controls import counted
from tests.edition_oracles import not_as_served
from tests.producers.served import FIRST, SALVADOR, ServedZip, member_name, year_zip
from tests.stores import store

__all__ = ["store"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

SERVED = {member_name(SALVADOR): SALVADOR.read_bytes()}
DATASETS = ("inmet_hourly", "inmet_stations")
POLL = ("poll", "inmet_hourly", "--once", "--json")


@pytest.fixture
def year(httpserver) -> ServedZip:
    """One year, one member; later years are not published."""
    served = ServedZip(httpserver, "/2025.zip")
    served.put(SERVED)
    for later in range(2026, date.today().year + 1):
        httpserver.expect_request(f"/{later}.zip").respond_with_data("not here", 404)
    return served


@pytest.fixture
def machine(cli, settings, store, httpserver, tmp_path) -> Callable[..., int]:
    """Poll on a machine with a disk of its own, which is empty at its first poll. Gives the exit code."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    told = {
        "CORRENTEZA_BASE_URLS": json.dumps({"inmet_hourly": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"inmet_hourly": "2025-01-01"}),
        "CORRENTEZA_CHUNK_ROWS": "2000",
        "CORRENTEZA_S3_ENDPOINT": str(store.endpoint),
        "CORRENTEZA_S3_ACCESS_KEY": str(store.access_key),
        "CORRENTEZA_S3_SECRET_KEY": str(store.secret_key),
    }

    def poll(name: str, archive: str | None, **variables: str) -> int:
        own = {"CORRENTEZA_HOME": str(tmp_path / name)} | ({} if archive is None else {"CORRENTEZA_ARCHIVE": archive})
        done = cli(*POLL, **told, **own, **variables)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    return poll


def downloads_stand_once(year: ServedZip) -> list[str]:
    """The oracle: members that the source was asked for. What a range to the zip's end gives is its directory."""
    members = [span for span in year.spans if span[1] < len(year.body)]
    return counted(members, set(members), "range") if members else ["no member was downloaded"]


def killed_and_followed(machine: Callable[..., int], archive: str | None) -> None:
    """A poller is killed in its third chunk, and one on another machine goes on."""
    killed, follows = uuid.uuid4().hex, uuid.uuid4().hex
    assert machine(killed, archive, CORRENTEZA_FAILPOINT="after_produce@3:kill") == -signal.SIGKILL
    assert machine(follows, archive) == 0


def test_control_a_poller_on_another_machine_goes_on_from_the_shared_archive_without_a_download(
    machine, settings, year, control
):
    killed_and_followed(machine, f"s3://archive/t{uuid.uuid4().hex}")
    control.holds(downloads_stand_once, year)
    assert oracles.problems(settings.bootstrap, settings.topic_prefix, DATASETS) == []
    assert not_as_served({FIRST: year_zip(SERVED)}, settings.bootstrap, settings.topic_prefix) == []

    year.put({name: content.replace(b";26,", b";25,") for name, content in SERVED.items()}, days=1)
    killed_and_followed(machine, None)  # each with an archive on its own disk
    control.objects(downloads_stand_once, year, damage="stands 2 times instead of 1")
