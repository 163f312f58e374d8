"""What the broker is given before it starts."""

import re
import socket

from correnteza.embedded import ports
from correnteza.embedded.broker import new_cluster_id


def test_a_cluster_id_is_never_taken_for_an_option():
    ids = {new_cluster_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert [identity for identity in ids if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", identity)] == []


def test_ports_are_reused_while_they_are_free(tmp_path):
    file = tmp_path / "ports.json"
    first = ports.remembered(file, ("one", "two"))
    assert ports.remembered(file, ("one", "two")) == first
    with socket.socket() as taken:
        taken.bind((ports.HOST, first["one"]))
        taken.listen()
        others = ports.remembered(file, ("one", "two"))
    assert first["one"] not in others.values()
    assert ports.remembered(file, ("one", "two")) == others


def test_ports_are_outside_the_range_of_outgoing_connections(tmp_path):
    chosen = ports.remembered(tmp_path / "ports.json", ("one", "two", "three"))
    assert len(set(chosen.values())) == 3
    assert all(ports.LOWEST <= port < ports.HIGHEST < 32_768 for port in chosen.values())
