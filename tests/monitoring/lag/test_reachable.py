"""It is known whether a server listens before a client is made, which would retry until its timeout."""

import socket

import pytest

from correnteza.commands import status
from foundation.errors import DependencyUnavailable
from monitoring.lag import reachable
from tests.controls import complaint


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def nobody():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as once:
        return f"127.0.0.1:{once.getsockname()[1]}"


def test_one_server_that_listens_is_enough(server, nobody):
    reachable.check(server, 60)
    reachable.check(f"{nobody}, {server}", 60)
    reachable.check(f"PLAINTEXT://{server}", 60)


def test_a_refusal_is_an_answer(nobody):
    with pytest.raises(DependencyUnavailable, match=f"Kafka at {nobody} does not answer: Connection refused") as found:
        reachable.check(nobody, 60)
    assert "correnteza up" in found.value.hint


def test_a_server_that_does_not_answer_is_given_up_in_time(monkeypatch):
    """A look-up that hangs, too: it is left behind."""
    monkeypatch.setattr(reachable, "_ask", lambda *_: None)
    with pytest.raises(DependencyUnavailable, match=r"no connection within 0\.05 s"):
        reachable.check("one:1,another:2", 0.05)


@pytest.mark.parametrize("wrong", ["", "host:port", "host:99999"])
def test_what_names_no_server_is_away(wrong):
    with pytest.raises(DependencyUnavailable):
        reachable.check(wrong, 60)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kafka:9093", ("kafka", 9093)), ("kafka", ("kafka", 9092)), ("[::1]:9094", ("::1", 9094)),
        ("SASL_SSL://kafka:9095", ("kafka", 9095)),
    ],
)  # fmt: skip
def test_servers_are_written_as_the_client_has_them(text, address):
    assert reachable._address(text) == address


def test_control_status_makes_no_client_for_a_broker_that_is_not_there(nobody, monkeypatch, control):
    def made():
        clients = []
        monkeypatch.setattr(status, "Cluster", lambda bootstrap, rpc_seconds: clients.append(bootstrap))
        complaint(lambda: status._connected(nobody))
        return [f"a client asks {each} for as long as it may" for each in clients]

    control.holds(made)
    monkeypatch.setattr(reachable, "check", lambda bootstrap, seconds: None)
    control.objects(made, damage="a client asks")
