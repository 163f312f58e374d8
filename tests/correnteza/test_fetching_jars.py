"""What set-up fetches, keeps and says, against a repository on this machine: whole, cut off, out of reach, offline."""

import hashlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from werkzeug import Request, Response

from correnteza.embedded import jars, lock, maven
from foundation.errors import DependencyUnavailable, TransientError, UnsafeState, UsageError
from tests.controls import complaint, differs
from tests.helpers import wait_for
from tests.producers.socket_server import FakeNetwork, answer, certificate, drip, reset, socket_server

CONTENT = {f"jar{number}-1.0.jar": f"content of jar {number}".encode() for number in range(4)}
NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """No proxy and no certificates but those that a test sets."""
    for name in NETWORK:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def lock_file(tmp_path) -> Path:
    file = tmp_path / "jars.lock"
    file.write_text("".join(_line(name, content) for name, content in CONTENT.items()))
    return file


@pytest.fixture
def asked(httpserver) -> list[str]:
    """A repository that has everything; the names of the files that it was asked for, in order of the alphabet."""
    found: list[str] = []

    def serve(request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        found.append(name)
        found.sort()
        return Response(CONTENT[name]) if name in CONTENT else Response("nothing", status=404)

    httpserver.expect_request("").respond_with_handler(serve)
    return found


@pytest.fixture
def closed_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _line(name: str, content: bytes) -> str:
    return f"spark g.h:{name.partition('-')[0]}:1.0 {hashlib.sha256(content).hexdigest()} {len(content)}\n"


def settings_xml(tmp_path: Path, url: str) -> Path:
    file = tmp_path / "settings.xml"
    file.write_text(f"<settings><mirrors><mirror><mirrorOf>*</mirrorOf><url>{url}</url></mirror></mirrors></settings>")
    return file


def set_up(tmp_path: Path, url: str, lock_file: Path) -> int:
    """As the command does it, with another lock."""
    folder = tmp_path / "jars"
    fetch = maven.fetcher(folder / "downloads", settings_xml(tmp_path, url))
    return jars.install(folder, fetch, lock_file=lock_file)


def fetch_one(tmp_path: Path, url: str, content: bytes = b"content of jar 0") -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    fetch = maven.fetcher(tmp_path / "downloads", settings_xml(tmp_path, url))
    return fetch(lock.artifact("spark", "g.h:jar0:1.0", sha256, len(content)))


def test_progress_is_reported_while_bytes_arrive(httpserver, asked, tmp_path, lock_file):
    told: list[tuple[str, int]] = []
    fetch = maven.fetcher(
        tmp_path / "downloads",
        settings_xml(tmp_path, httpserver.url_for("/maven")),
        progress=lambda artifact, size: told.append((artifact.file_name, size)),
    )
    assert jars.install(tmp_path / "jars", fetch, lock_file=lock_file) == len(CONTENT)
    assert sorted(told) == [(name, len(content)) for name, content in CONTENT.items()]
    assert httpserver.log[0][0].path.startswith("/maven/g/h/jar")


# Interrupted


def test_an_interrupted_set_up_asks_only_for_what_is_not_whole(httpserver, asked, tmp_path, lock_file):
    missing = CONTENT.pop("jar3-1.0.jar")
    try:
        with pytest.raises(DependencyUnavailable, match="jar3"):
            set_up(tmp_path, httpserver.url_for(""), lock_file)
    finally:
        CONTENT["jar3-1.0.jar"] = missing
    first = sorted(set(asked))
    asked.clear()
    assert first == sorted(CONTENT)
    assert not (tmp_path / "jars/installed.json").exists()
    assert set_up(tmp_path, httpserver.url_for(""), lock_file) == len(CONTENT)
    assert asked == ["jar3-1.0.jar"]


def test_a_set_up_killed_in_a_download_is_taken_up_where_it_was(httpserver, asked, tmp_path, lock_file):
    body = CONTENT["jar0-1.0.jar"]
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 100}\r\n\r\n".encode()
    program = (
        "import sys; from pathlib import Path; from correnteza.embedded import jars, maven\n"
        "folder, lock, settings = map(Path, sys.argv[1:])\n"
        "jars.install(folder, maven.fetcher(folder / 'downloads', settings), lock_file=lock)\n"
    )
    partials = tmp_path / "jars/downloads/spark"
    with socket_server(drip(head + body, every=0.05)) as half:
        arguments = [str(tmp_path / "jars"), str(lock_file), str(settings_xml(tmp_path, half.url))]
        process = subprocess.Popen([sys.executable, "-c", program, *arguments])
        try:
            wait_for(lambda: list(partials.glob("*.partial")), "a download that has begun")
        finally:
            process.kill()
            process.wait()
    assert [path.name for path in partials.glob("*.jar")] == []
    assert set_up(tmp_path, httpserver.url_for(""), lock_file) == len(CONTENT)
    assert asked == sorted(CONTENT)


def test_control_what_a_cut_download_left_is_not_taken_for_the_jar(
    httpserver, asked, tmp_path, lock_file, control, monkeypatch
):
    def taken() -> list[str]:
        return complaint(lambda: set_up(tmp_path, httpserver.url_for(""), lock_file))

    def cut_off() -> None:
        half = tmp_path / "jars/downloads/spark/jar0-1.0.jar"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(CONTENT[half.name][:5])

    cut_off()
    control.holds(taken)
    cut_off()
    (tmp_path / "jars/spark/jar0-1.0.jar").unlink()
    monkeypatch.setattr(maven, "is_whole", lambda path, _: path.is_file())
    control.objects(taken, damage="g.h:jar0:1.0 is not the file that jars.lock names")


def test_control_jars_in_place_are_not_fetched_for_a_new_lock(
    httpserver, asked, tmp_path, lock_file, control, monkeypatch
):
    downloads = tmp_path / "jars/downloads"
    set_up(tmp_path, httpserver.url_for(""), lock_file)
    lock_file.write_text("# another lock with the same jars\n" + lock_file.read_text())

    def fetched() -> list[str]:
        asked.clear()
        shutil.rmtree(downloads)  # as the command does at its end
        set_up(tmp_path, httpserver.url_for(""), lock_file)
        return differs(asked, ["jar1-1.0.jar"])

    (tmp_path / "jars/spark/jar1-1.0.jar").write_bytes(b"altered")
    control.holds(fetched)
    monkeypatch.setattr(jars, "is_whole", lambda *_: False)
    control.objects(fetched, damage="jar0-1.0.jar")


def test_an_interrupt_ends_downloads_and_names_no_partial_file(httpserver, asked, tmp_path):
    stop = Event()
    stop.set()
    fetch = maven.fetcher(tmp_path / "downloads", settings_xml(tmp_path, httpserver.url_for("")), stop=stop)
    with pytest.raises(KeyboardInterrupt):
        fetch(lock.artifact("spark", "g.h:jar0:1.0", 64 * "0"))
    assert [path.name for path in (tmp_path / "downloads/spark").iterdir()] == ["jar0-1.0.jar.partial"]


def test_the_first_jar_that_cannot_be_had_ends_the_set_up(tmp_path, monkeypatch):
    asked: list[str] = []
    lines = [_line(f"jar{number}-1.0.jar", b"") for number in range(20)]
    (tmp_path / "jars.lock").write_text("".join(lines))
    monkeypatch.setattr(jars, "DOWNLOADS_AT_ONCE", 1)

    def fetch(artifact: lock.Artifact) -> Path:
        asked.append(artifact.name)
        raise DependencyUnavailable(f"no {artifact.name}")

    with pytest.raises(DependencyUnavailable, match="no jar"):
        jars.install(tmp_path / "jars", fetch, lock_file=tmp_path / "jars.lock")
    assert asked == ["jar0"]


# Out of reach: the reason, and what fixes it


@pytest.mark.parametrize(
    ("status", "reason", "mends"),
    [
        ("404 Not Found", r"it does not have it \(404\)", "CORRENTEZA_MAVEN_SETTINGS"),
        ("403 Forbidden", r"it refuses this download \(403\)", "CORRENTEZA_MAVEN_SETTINGS"),
        ("407 Proxy Authentication Required", r"the proxy wants a name and a password \(407\)", "HTTPS_PROXY"),
        ("503 Service Unavailable", "it answers 503", "try again later"),
    ],
)
def test_an_answer_that_is_no_file_is_named_with_what_fixes_it(tmp_path, status, reason, mends):
    with (
        socket_server(answer(b"", status=status)) as server,
        pytest.raises(DependencyUnavailable, match=reason) as error,
    ):
        fetch_one(tmp_path, server.url.replace("//", "//user:secret@"))
    assert f"g.h:jar0:1.0 from 127.0.0.1:{server.port}:" in str(error.value)
    assert mends in str(error.value.hint)
    assert "secret" not in f"{error.value} {error.value.hint}"
    assert error.value.exit_code == 4


def test_an_unknown_name(tmp_path, monkeypatch):
    FakeNetwork(monkeypatch)
    with pytest.raises(TransientError, match=r"from mirror\.example: its name is not known here") as error:
        fetch_one(tmp_path, "http://mirror.example/maven")
    assert all(word in str(error.value.hint) for word in ("HTTPS_PROXY", "CORRENTEZA_MAVEN_SETTINGS", "OFFLINE"))


def test_a_proxy_that_is_not_there(tmp_path, monkeypatch, closed_port):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(
        TransientError, match="no connection through the proxy of HTTPS_PROXY: Connection refused"
    ) as error:
        fetch_one(tmp_path, "https://mirror.example/maven")
    assert "set HTTPS_PROXY" in str(error.value.hint)


def test_a_proxy_that_wants_a_password(tmp_path, monkeypatch):
    with socket_server(answer(b"", status="407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TransientError, match=r"no connection through the proxy of HTTPS_PROXY: .*407") as error:
            fetch_one(tmp_path, "https://mirror.example/maven")
    assert proxy.requests[0].startswith(b"CONNECT mirror.example:443")
    assert "set HTTPS_PROXY" in str(error.value.hint)


def test_a_certificate_of_a_network_of_your_own(tmp_path, monkeypatch):
    file, context = certificate(tmp_path, "localhost")
    with socket_server(answer(b"content of jar 0"), context) as server:
        url = f"https://localhost:{server.port}/maven"
        with pytest.raises(TransientError, match="its TLS certificate is not trusted") as error:
            fetch_one(tmp_path, url)
        assert "REQUESTS_CA_BUNDLE" in str(error.value.hint)
        assert "SSL_CERT_FILE" in str(error.value.hint)
        with monkeypatch.context() as variables:
            variables.setenv("REQUESTS_CA_BUNDLE", str(file))
            fetch_one(tmp_path, url).unlink()
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert fetch_one(tmp_path, url).read_bytes() == b"content of jar 0"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_that_are_not_there(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "/absent.pem")
    with pytest.raises(UsageError, match=rf"{name} names /absent\.pem, which does not exist"):
        fetch_one(tmp_path, "https://localhost/maven")


def test_nobody_listens(tmp_path, closed_port):
    with pytest.raises(TransientError, match="no connection: Connection refused") as error:
        fetch_one(tmp_path, f"http://127.0.0.1:{closed_port}/maven")
    assert "OFFLINE" in str(error.value.hint)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (answer(b"half", Content_Length="100"), "the answer was cut off"),
        (reset, "no connection: Connection reset by peer"),
    ],
)
def test_an_answer_that_breaks_off(tmp_path, behave, reason):
    with socket_server(behave) as server, pytest.raises(TransientError, match=reason):
        fetch_one(tmp_path, server.url)
    assert list((tmp_path / "downloads/spark").glob("*.jar")) == []


def test_another_file_than_the_lock_names(tmp_path):
    page = answer(b"<html>log in</html>", Content_Type="text/html")
    message = r"g\.h:jar0:1\.0 from 127\.0\.0\.1:\d+ is not .*\(an HTML page"
    with socket_server(page) as server, pytest.raises(UnsafeState, match=message):
        fetch_one(tmp_path, server.url)
    assert list((tmp_path / "downloads/spark").iterdir()) == []


# Offline


def test_a_filled_folder_is_enough(httpserver, asked, tmp_path, lock_file, monkeypatch):
    fill = maven.fetcher(tmp_path / "house", settings_xml(tmp_path, httpserver.url_for("")))
    for artifact in lock.read(lock_file):
        fill(artifact)
    FakeNetwork(monkeypatch)  # from here on no name is known and no address is reached
    offline = maven.offline_fetcher(tmp_path / "house")
    assert jars.install(tmp_path / "jars", offline, lock_file=lock_file) == len(CONTENT)
    assert jars.verify(jars.require(tmp_path / "jars", lock_file)) == len(CONTENT)
    assert asked == sorted(CONTENT)


def test_a_folder_that_lacks_a_jar_or_holds_another(tmp_path, lock_file):
    offline = maven.offline_fetcher(tmp_path / "house")
    with pytest.raises(DependencyUnavailable, match=r"g\.h:jar\d:1\.0 is not in") as error:
        jars.install(tmp_path / "jars", offline, lock_file=lock_file)
    assert "make wheelhouse" in str(error.value.hint)
    (tmp_path / "house/spark").mkdir(parents=True)
    (tmp_path / "house/spark/jar0-1.0.jar").write_bytes(b"another")
    with pytest.raises(UnsafeState, match=r"jar0-1\.0\.jar is not g\.h:jar0:1\.0"):
        offline(lock.read(lock_file)[0])
