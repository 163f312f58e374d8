"""The notifications to systemd, by the protocol of sd_notify(3), sent to a real socket."""

import socket

import pytest

from foundation import notify


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The socket that a service is given."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setitem(notify._sent, "WATCHDOG=1", -notify.ALIVE_SECONDS)
        yield receiver


def received(receiver):
    found = []
    while True:
        try:
            found.append(receiver.recv(100))
        except BlockingIOError:
            return found


def test_systemd_is_notified_that_a_service_is_ready_and_then_alive(systemd):
    notify.ready()
    notify.alive()
    assert received(systemd) == [b"READY=1", b"WATCHDOG=1"]


def test_a_quick_loop_sends_one_notification_in_five_seconds(systemd, monkeypatch):
    moments = iter([100.0, 101.0, 104.9, 105.0, 109.9])
    monkeypatch.setattr(notify.time, "monotonic", lambda: next(moments))
    for _ in range(5):
        notify.alive()
    assert received(systemd) == [b"WATCHDOG=1"] * 2


def test_a_socket_may_have_a_name_that_is_no_file(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("")  # Linux gives it a free name that begins with a zero byte
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + receiver.getsockname()[1:].decode())
        notify.ready()
        assert received(receiver) == [b"READY=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_without_systemd_nothing_is_sent_and_nothing_fails(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.ready()
