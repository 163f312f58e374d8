"""Set-up takes what jars.lock names, and nothing else."""

import hashlib
import io
import tarfile

import pytest

from correnteza.embedded import jars, lock, maven
from foundation.errors import DependencyUnavailable, UnsafeState, UsageError


@pytest.fixture
def repository(tmp_path):
    """Two jars and an archive, as a repository would hand them out; the lock that names them."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "one-1.0.jar").write_bytes(b"one")
    (folder / "two-2.0.jar").write_bytes(b"two")
    write_tar(folder / "app-3.0-all.tar.gz", {"run.jar": b"run", "lib/three.jar": b"three"})
    lines = [
        locked("spark g:one:1.0", folder / "one-1.0.jar"),
        locked("kafka g:two:2.0", folder / "two-2.0.jar"),
        locked("registry g:app:3.0:tar.gz:all", folder / "app-3.0-all.tar.gz"),
    ]
    (tmp_path / "jars.lock").write_text("# a comment\n\n" + "\n".join(lines) + "\n")
    return folder


def locked(start, path):
    content = path.read_bytes()
    return f"{start} {hashlib.sha256(content).hexdigest()} {len(content)}"


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def install(repository, tmp_path):
    def fetch(artifact):
        return repository / artifact.file_name

    return jars.install(tmp_path / "jars", fetch, lock_file=tmp_path / "jars.lock")


def test_every_locked_file_is_put_in_its_kit(repository, tmp_path):
    assert install(repository, tmp_path) == 4
    assert (tmp_path / "jars/spark/one-1.0.jar").read_bytes() == b"one"
    assert (tmp_path / "jars/kafka/two-2.0.jar").read_bytes() == b"two"
    assert (tmp_path / "jars/registry/lib/three.jar").read_bytes() == b"three"
    assert jars.verify(jars.require(tmp_path / "jars", tmp_path / "jars.lock")) == 4


def test_an_altered_jar_is_refused_by_name_and_nothing_is_installed(repository, tmp_path):
    (repository / "two-2.0.jar").write_bytes(b"two, and something more")
    with pytest.raises(UnsafeState, match=r"g:two:2\.0"):
        install(repository, tmp_path)
    assert not (tmp_path / "jars/kafka").exists()
    with pytest.raises(DependencyUnavailable, match="are not in"):
        jars.require(tmp_path / "jars", tmp_path / "jars.lock")


def test_a_jar_altered_after_set_up_is_found(repository, tmp_path):
    install(repository, tmp_path)
    (tmp_path / "jars/registry/lib/three.jar").write_bytes(b"3")
    with pytest.raises(UnsafeState, match=r"registry/lib/three\.jar is altered"):
        jars.verify(tmp_path / "jars")


def test_another_lock_needs_another_set_up(repository, tmp_path):
    install(repository, tmp_path)
    with (tmp_path / "jars.lock").open("a") as file:
        file.write(locked("kafka g:one:1.0", repository / "one-1.0.jar") + "\n")
    with pytest.raises(DependencyUnavailable) as error:
        jars.require(tmp_path / "jars", tmp_path / "jars.lock")
    assert error.value.hint == "correnteza setup"


@pytest.mark.parametrize("name", ["../outside.jar", "/tmp/outside.jar", "lib/../../outside.jar"])
def test_an_archive_cannot_write_outside_its_folder(repository, tmp_path, name):
    archive = repository / "app-3.0-all.tar.gz"
    write_tar(archive, {name: b"hostile"})
    (tmp_path / "jars.lock").write_text(locked("registry g:app:3.0:tar.gz:all", archive) + "\n")
    with pytest.raises(UnsafeState, match="which is outside its folder"):
        install(repository, tmp_path)


def test_an_archive_cannot_bring_links(repository, tmp_path):
    archive = repository / "app-3.0-all.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("lib")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        tar.addfile(link)
    (tmp_path / "jars.lock").write_text(locked("registry g:app:3.0:tar.gz:all", archive) + "\n")
    with pytest.raises(UnsafeState, match="which is outside its folder"):
        install(repository, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "spark g:one:1.0",
        "spark g:one:1.0 abc 3",
        "spark one " + 64 * "0" + " 3",
        "spark g:one:1.0 " + 64 * "0",
        "spark g:one:1.0 " + 64 * "0" + " many",
    ],
)
def test_a_line_without_a_digest_a_size_or_a_coordinate_is_refused(tmp_path, line):
    (tmp_path / "jars.lock").write_text(line + "\n")
    with pytest.raises(UnsafeState, match="line 1"):
        lock.read(tmp_path / "jars.lock")


def test_the_lock_round_trips_and_names_no_host():
    lines = [line for line in lock.LOCK_FILE.read_text().splitlines() if line and not line.startswith("#")]
    assert [artifact.line for artifact in lock.read()] == lines
    assert "://" not in lock.LOCK_FILE.read_text()


def test_a_maven_mirror_of_central_is_used(tmp_path):
    file = tmp_path / "settings.xml"
    file.write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors>'
        "<mirror><mirrorOf>other</mirrorOf><url>https://other.example/</url></mirror>"
        "<mirror><mirrorOf>*,!internal</mirrorOf><url>https://mirror.example/maven/</url></mirror>"
        "</mirrors></settings>"
    )
    assert maven.mirror_url(file) == "https://mirror.example/maven"


def test_maven_settings_without_a_mirror_are_refused(tmp_path):
    file = tmp_path / "settings.xml"
    file.write_text("<settings/>")
    with pytest.raises(UsageError, match="no mirror"):
        maven.mirror_url(file)


DAMAGED = {
    "altered": ("spark", "spark/one-1.0.jar", b"another"),
    "added": ("kafka", "kafka/added.jar", b"strange"),
    "of the archive": ("registry", "registry/lib/three.jar", b"another"),
}


def started(folder, lock_file, kit, name):
    """The oracle: whether a kit is started although a file in it is not what set-up put there."""
    try:
        jars.checked(folder, kit, lock_file)
    except UnsafeState as refused:
        return [] if name in str(refused) else [f"refused for something else: {refused}"]
    return [f"{kit} is started with {name}"]


@pytest.mark.parametrize("case", DAMAGED)
def test_control_a_kit_is_not_started_with_a_file_that_is_not_of_the_lock(
    repository, tmp_path, monkeypatch, case, control
):
    install(repository, tmp_path)
    folder, lock_file = tmp_path / "jars", tmp_path / "jars.lock"
    for kit in jars.KITS:
        assert jars.checked(folder, kit, lock_file) == folder
    kit, name, content = DAMAGED[case]
    (folder / name).write_bytes(content)
    control.holds(started, folder, lock_file, kit, name)
    monkeypatch.setattr(jars, "checked", lambda folder, kit, lock_file: jars.require(folder, lock_file))
    control.objects(started, folder, lock_file, kit, name, damage="is started with ")


def test_a_jar_and_the_note_of_it_altered_together_are_found_by_the_lock(repository, tmp_path):
    install(repository, tmp_path)
    folder = tmp_path / "jars"
    (folder / "spark/one-1.0.jar").write_bytes(b"another")
    note = folder / "installed.json"
    note.write_text(
        note.read_text().replace(hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"another").hexdigest())
    )
    with pytest.raises(UnsafeState, match=r"one-1\.0\.jar is altered"):
        jars.checked(folder, "spark", tmp_path / "jars.lock")


def test_a_jar_that_is_gone_is_named(repository, tmp_path):
    install(repository, tmp_path)
    (tmp_path / "jars/kafka/two-2.0.jar").unlink()
    with pytest.raises(UnsafeState, match=r"two-2\.0\.jar is gone"):
        jars.checked(tmp_path / "jars", "kafka", tmp_path / "jars.lock")
