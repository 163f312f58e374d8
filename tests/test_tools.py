"""The programs of the alert tests are those that the lock names, or none."""

from pathlib import Path

import pytest

from tests import tools
from tests.controls import complaint

LOCK = "# a comment\nsome=1.0 all {sha256}\n"
CONTENT = b"a package"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """What apt-get would have fetched; no package is unpacked."""
    said = []

    def fetch(folder, packages):
        debs = folder / "apt/debs"
        debs.mkdir(parents=True)
        for each in packages:
            (debs / f"{each.name}_{each.version}_{each.architecture}.deb").write_bytes(CONTENT)

    def run(*command, cwd=None):
        said.append(command)
        return "all\n"

    monkeypatch.setattr(tools, "_fetch", fetch)
    monkeypatch.setattr(tools, "_run", run)
    monkeypatch.setattr(tools.shutil, "which", lambda name: name)
    return said


def test_the_lock_names_each_program_s_package():
    assert {each.name for each in tools.locked()} == set(tools.PROGRAMS.values())


def test_control_a_package_that_is_another_one_is_refused(tmp_path, served, control):
    sha256 = tools.hashlib.sha256(CONTENT).hexdigest()
    lock, folder = tmp_path / "lock", tmp_path / "tools"
    lock.write_text(LOCK.format(sha256=sha256))
    control.holds(complaint, lambda: tools.install(folder, lock))
    lock.write_text(LOCK.format(sha256=64 * "0"))
    control.objects(complaint, lambda: tools.install(folder, lock), damage=f"has SHA-256 {sha256}")


def test_what_is_installed_is_not_fetched_again(tmp_path, served):
    lock, folder = tmp_path / "lock", tmp_path / "tools"
    lock.write_text(LOCK.format(sha256=tools.hashlib.sha256(CONTENT).hexdigest()))
    tools.install(folder, lock)
    before = len(served)
    tools.install(folder, lock)
    assert len(served) == before


def test_a_browser_comes_with_what_the_machine_lacks_and_only_where_there_is_none(tmp_path, monkeypatch):
    said = []

    def run(*command, cwd=None):
        said.append(command)
        if "--simulate" in command:
            return f"Inst libone (1.0 Debian [all])\nInst {tools.CHROMIUM} (2.0 Debian [all])\nConf libone\n"
        if "download" in command:
            (cwd / "libone_1.0_all.deb").write_bytes(b"")
            (cwd / f"{tools.CHROMIUM}_2.0_all.deb").write_bytes(b"")
        if "-x" in command and tools.CHROMIUM in command[2]:
            (program := Path(command[3]) / "usr/lib/chromium" / tools.CHROMIUM).parent.mkdir(parents=True)
            program.write_bytes(b"")
        return ""

    monkeypatch.setattr(tools, "_run", run)
    monkeypatch.setattr(tools, "FOLDER", tmp_path)
    monkeypatch.setattr(tools.shutil, "which", lambda name: None if name in tools.BROWSERS else name)
    assert tools.browser() is None
    tools.install_browser(tmp_path)
    assert next(each for each in said if "download" in each)[-2:] == ("libone", tools.CHROMIUM)
    assert sum("-x" in each for each in said) == 2
    assert tools.browser()[0] == tmp_path / "chromium/usr/lib/chromium" / tools.CHROMIUM
    before = len(said)
    tools.install_browser(tmp_path)
    assert len(said) == before


def test_a_program_that_is_not_here_skips_the_test_and_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "FOLDER", tmp_path)
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match=r"make tools, or apt-get install prometheus$"):
        tools.program("promtool")
