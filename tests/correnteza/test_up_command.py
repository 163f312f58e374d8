"""`up` gives the monitor the port that is set, and a free one where it is taken: the monitor never ends the other
components."""

import socket

import pytest

from correnteza.commands import up
from correnteza.commands.up import CHILDREN, COMPONENTS, _child, _monitor_port
from correnteza.settings import Settings


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_monitor_gets_the_port_that_is_set_and_another_where_it_is_taken(tmp_path, taken, monkeypatch):
    settings = Settings(home=tmp_path, monitor_port=taken)
    assert _monitor_port(settings) not in (0, taken)
    monkeypatch.setattr(up.ports, "accepts", lambda host, port: False)
    assert _monitor_port(settings) == taken
    assert _monitor_port(settings.model_copy(update={"monitor_port": 0})) != 0


def test_the_monitor_is_a_component_and_gets_its_port(tmp_path):
    assert ("broker", "registry", *CHILDREN) == COMPONENTS
    assert "monitor" in COMPONENTS
    service = _child("monitor", Settings(home=tmp_path), None, ("--port", "1234"))
    assert service.program.command[-3:] == ("monitor", "--port", "1234")
