"""Class archives (AppCDS): a JVM that maps its classes instead of parsing them starts in half the time.

Java itself checks that an archive matches the runtime and the class path, and runs without it otherwise. The name of
the file depends on the jars, so that an upgrade begins a new one.
"""

from collections.abc import Iterable
from pathlib import Path

from correnteza.embedded import jars

_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def archive_options(jar_folder: Path, kit: str) -> list[str]:
    """Options with which Java uses the archive of broker or registry, and writes it at a clean exit if there is no
    matching one."""
    archive = _archive(jar_folder, kit, (jar_folder / kit).rglob("*.jar"))
    archive.parent.mkdir(parents=True, exist_ok=True)
    return ["-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={archive}", *_QUIET]


def of_spark(jar_folder: Path, class_path: Iterable[Path], java_home: Path) -> Path:
    """Where the archive of Spark's JVM is. Set-up makes it: at its end a driver has no half minute for it."""
    return _archive(jar_folder, "spark", [*class_path, java_home])


def used(archive: Path) -> list[str]:
    """Options with which Java uses an archive that was written by `written_to`; none if there is none."""
    return [f"-XX:SharedArchiveFile={archive}", *_QUIET] if archive.exists() else []


def written_to(archive: Path) -> list[str]:
    """Options with which Java writes an archive at a clean exit."""
    return [f"-XX:ArchiveClassesAtExit={archive}", *_QUIET]


def _archive(jar_folder: Path, kit: str, paths: Iterable[Path]) -> Path:
    return jar_folder / "java" / f"{kit}-{jars.fingerprint(paths)}.jsa"
