"""The embedded object store: for this machine and this home alone."""

import psutil
import pytest

from correnteza.embedded import credentials
from correnteza.embedded.object_store import BUCKETS
from correnteza.embedded.stack import OBJECT_STORE, Stack
from correnteza.own_home import own_places
from correnteza.settings import Settings
from storage import files
from storage.location import Remote

pytestmark = pytest.mark.integration


def test_it_listens_on_loopback_alone_keeps_its_keys_private_and_what_was_written_over_a_kill(tmp_path):
    settings = Settings(**own_places(tmp_path / "home", in_store=True))
    with Stack(settings, (OBJECT_STORE,)) as stack:
        process = psutil.Process(stack.processes[OBJECT_STORE].pid)
        listening = {each.laddr.ip for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        assert credentials._file(settings.home).stat().st_mode & 0o777 == 0o600
        told = " ".join(process.cmdline())
        assert "-master.telemetry=false" in told
        keys = credentials.read(settings.home)
        assert not [key for key in keys if key in told]

        store = settings.s3
        for bucket in BUCKETS:
            files.write(Remote(store, bucket, "kept"), b"content")
        process.kill()
    assert not (settings.run / "endpoints.json").exists()

    with Stack(settings, (OBJECT_STORE,)):
        assert credentials.read(settings.home) == keys
        assert [files.read(Remote(settings.s3, bucket, "kept")) for bucket in BUCKETS] == [b"content"] * 2
        assert str(settings.lake_root) == "s3://lake"


def test_the_home_of_the_demo_and_of_a_replay_uses_no_other_pipeline(tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_LAKE", "s3://production")
    monkeypatch.setenv("CORRENTEZA_S3_ACCESS_KEY", "theirs")
    settings = Settings().model_copy(update=own_places(tmp_path, in_store=False))
    assert (settings.lake_root, settings.archive_root) == (tmp_path / "lake", tmp_path / "archive")
    assert (settings.s3_endpoint, settings.s3_access_key) == (None, None)
