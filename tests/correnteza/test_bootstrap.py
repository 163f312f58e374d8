"""What set-up says of pip: what it fetches and builds, and at a failure the setting that fixes it."""

import socket
import sys
from pathlib import Path

import pytest

from correnteza import bootstrap
from tests.producers.socket_server import answer, certificate, socket_server

INSTALL = """\
Collecting aiohttp==3.14.5 (from -r requirements.lock (line 30))
  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_17_x86_64.whl (1.8 MB)
Collecting pyspark==4.1.1 (from -r requirements.lock (line 2700))
  Downloading pyspark-4.1.1.tar.gz (455.4 MB)
  Downloading zipp-4.1.2-py3-none-any.whl (10 kB)
Processing /house/wheels/one-1.0-py3-none-any.whl (from -r requirements.lock (line 1))
Building wheels for collected packages: pyspark
  Building wheel for pyspark (pyproject.toml): started
  Building wheel for pyspark (pyproject.toml): finished with status 'done'
Installing collected packages: zipp, pyspark, aiohttp
Successfully installed aiohttp-3.14.5 pyspark-4.1.1 zipp-4.1.2
"""
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """pip fetches one small package that it does not find, from an index that a test gives; returns what fixes it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    lock = tmp_path / "requirements.lock"
    lock.write_text("absent==1.0 --hash=sha256:" + 64 * "0" + "\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)

    def run(index: str, **variables: str) -> str:
        monkeypatch.setenv("PIP_INDEX_URL", index)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(bootstrap.PipFailed) as error:
            bootstrap.fill(tmp_path / "house")
        assert "absent" in str(error.value)
        return error.value.hint

    return run


@pytest.fixture
def closed() -> str:
    """An address without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def followed(text: str) -> tuple[list[str], str]:
    """What is printed while pip runs, and the summary."""
    told, following = [], bootstrap.follow(text.splitlines(keepends=True))
    while True:
        try:
            told.append(next(following))
        except StopIteration as end:
            return told, end.value


def test_large_files_builds_and_the_unpacking_are_printed():
    told, summary = followed(INSTALL)
    assert told == ["pyspark-4.1.1.tar.gz, 455 MB …", "building pyspark from its sources …", "unpacking 3 packages …"]
    assert summary == "4 files, 457 MB downloaded; fetching 0 s, building 0 s, unpacking 0 s"


def test_an_index_that_nobody_serves(pip, closed):
    assert "behind a proxy set HTTPS_PROXY; a mirror is set by PIP_INDEX_URL" in pip(f"{closed}/simple")


def test_a_proxy_that_is_not_there(pip, closed):
    assert "set HTTPS_PROXY=" in pip("https://index.example/simple", HTTPS_PROXY=closed)


def test_a_certificate_that_is_not_trusted(pip, tmp_path):
    _, context = certificate(tmp_path, "localhost")
    with socket_server(answer(b""), context) as server:
        assert "set REQUESTS_CA_BUNDLE" in pip(f"https://localhost:{server.port}/simple")


def test_an_index_without_the_package(pip):
    with socket_server(answer(b"", status="404 Not Found")) as server:
        assert "it does not have the package" in pip(f"{server.url}simple")


def test_another_file_than_the_lock_names(pip):
    def serve(connection: socket.socket) -> None:
        page = b'<a href="/files/absent-1.0-py3-none-any.whl">absent-1.0-py3-none-any.whl</a>'
        is_page = b"/simple/" in server.requests[-1].splitlines()[0]
        answer(page if is_page else b"another", Content_Type="text/html")(connection)

    with socket_server(serve) as server:
        assert "not the one that requirements.lock names" in pip(f"{server.url}simple")


def test_a_folder_that_is_not_there_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bootstrap.PipFailed, match="is not there") as error:
        bootstrap.install(tmp_path / "house")
    assert "make wheelhouse" in error.value.hint
    assert list(tmp_path.iterdir()) == []
