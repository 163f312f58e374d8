"""The units of deploy/systemd are valid, and leave a service little. No systemd runs here: its own tool reads them."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from tests.helpers import PATIENCE_SECONDS, ROOT

UNITS = ROOT / "deploy/systemd"
SERVICES = (
    "correnteza-monitor.service",
    "correnteza-schedule@1.service",
    "correnteza-services.service",
    "correnteza-stream.service",
)
pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine")


@pytest.fixture
def units(tmp_path):
    """The units, with the command of this checkout in place of the installed one."""
    copied = shutil.copytree(UNITS, tmp_path / "units")
    for file in copied.rglob("*.*"):
        if file.is_file():
            text = file.read_text()
            file.write_text(text.replace("/opt/correnteza/.venv/bin/", str(ROOT / ".venv/bin") + "/"))
    return copied


def analyzed(units, *arguments):
    variables = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    done = subprocess.run(
        ["systemd-analyze", *arguments], cwd=units, env=variables, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def complaints(units):
    """The oracle: what systemd says of the units."""
    return analyzed(units, "verify", "--man=no", "correnteza.target", *SERVICES).splitlines()


def exposed(units, most=1.5):
    """The oracle: which service is more exposed than that, of 10."""
    found = {each: analyzed(units, "security", "--offline=true", each) for each in SERVICES}
    levels = {each: float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1]) for each, said in found.items()}
    return [f"{each} is exposed by {level}" for each, level in levels.items() if level > most]


def test_control_systemd_finds_no_fault_with_the_units(units, control):
    control.holds(complaints, units)
    unit = units / "correnteza-stream.service"
    unit.write_text(unit.read_text().replace("bin/correnteza run", "bin/correntezza run"))
    control.objects(complaints, units, damage="correntezza is not executable")


def test_control_a_service_can_do_little_on_its_machine(units, control):
    control.holds(exposed, units)
    shutil.rmtree(units / "correnteza-.service.d")
    control.objects(exposed, units, damage="correnteza-stream.service is exposed by 9")


def test_what_a_restart_cannot_fix_is_not_restarted():
    text = (UNITS / "correnteza-.service.d/hardening.conf").read_text()
    assert "RestartPreventExitStatus=2 3\n" in text
    assert "UMask=0077\n" in text


def test_each_unit_has_its_watchdog_interval():
    assert "Type=notify\n" in (UNITS / "correnteza-.service.d/hardening.conf").read_text()
    files = sorted(UNITS.glob("*.service"))
    assert [re.findall(r"^WatchdogSec=(\d+)$", file.read_text(), re.M) for file in files] == [
        ["60"],
        ["300"],
        ["60"],
        ["300"],
    ]


def test_a_monitor_notifies_systemd_that_it_is_ready_and_alive(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_SECONDS)
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "CORRENTEZA_HOME": str(tmp_path / "home")}
        monitor = subprocess.Popen(
            [sys.executable, "-m", "correnteza", "monitor", "--port", "0"],
            env={**os.environ, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
        finally:
            monitor.terminate()
            assert monitor.wait() == 0
