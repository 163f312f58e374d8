"""What a container runs: a service's own JVM as its first process, and a health check that needs nothing."""

import http.server
import os
import threading

import pytest

from correnteza import healthy
from correnteza.embedded import foreground, jars, ports
from foundation.errors import UnsafeState, UsageError


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def served():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_service_is_healthy_if_and_only_if_it_answers(served, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy has no business here
    told = {each: healthy.answers(each) for each in (f"http://{served}/healthz", served)}
    assert all(told.values()), told
    away = f"127.0.0.1:{ports.free()}"
    told = {each: healthy.answers(each) for each in (f"http://{served}/other", away, f"http://{away}/healthz", "", "x")}
    assert not any(told.values()), told


@pytest.fixture
def becomes(monkeypatch, tmp_path):
    """What the process would become: its command and its environment."""
    found = []
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    monkeypatch.setattr(os, "execve", lambda *given: found.append(given))
    return found


def test_the_registry_listens_at_the_given_address_and_gets_no_secret(becomes, monkeypatch, tmp_path):
    monkeypatch.setenv("CORRENTEZA_API_KEYS", '{"bcb_sgs": "canary-77"}')
    foreground.main("registry", "registry:8081")
    ((program, command, variables),) = becomes
    assert program == command[0]
    assert {"-Dquarkus.http.host=registry", "-Dquarkus.http.port=8081"} <= set(command)
    assert "-Dquarkus.management.host=127.0.0.1" in command
    assert "canary-77" not in f"{command} {variables}"
    assert (tmp_path / "registry").is_dir()


def test_no_jvm_starts_with_a_jar_that_is_not_of_the_lock(becomes, monkeypatch, tmp_path):
    def refuse(folder, kit):
        raise UnsafeState(f"a jar of {kit} is altered")

    monkeypatch.setattr(jars, "checked", refuse)
    with pytest.raises(UnsafeState, match="a jar of kafka is altered"):
        foreground.main("broker", "broker:9092")
    assert becomes == []


def test_the_object_store_takes_the_keys_of_the_settings_and_no_argument_has_them(becomes, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_S3_ACCESS_KEY", "theirs-1")
    monkeypatch.setenv("CORRENTEZA_S3_SECRET_KEY", "theirs-2")
    foreground.main("object-store", "object-store:8333")
    ((program, command, variables),) = becomes
    assert program.endswith("/weed")
    assert {"-ip=object-store", "-s3.port=8333", "-bucket=lake,archive", "-logtostderr=true"} <= set(command)
    assert "theirs" not in f"{command}"
    assert (variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]) == ("theirs-1", "theirs-2")
    assert [name for name in variables if name.startswith("CORRENTEZA")] == []


def test_an_object_store_without_keys_is_not_begun(becomes):
    with pytest.raises(UsageError, match="needs s3_access_key and s3_secret_key"):
        foreground.main("object-store", "object-store:8333")
    assert becomes == []
