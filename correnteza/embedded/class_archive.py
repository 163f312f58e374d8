"""Class archives (AppCDS): a JVM that maps its classes instead of parsing them starts in half the time.

Java itself checks that an archive matches the runtime and the class path, and runs without it otherwise. The name of
the file depends on the jars, so that an upgrade begins a new one.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from correnteza.embedded import jars
from correnteza.embedded.java import java
from correnteza.settings import Settings
from stream_jobs.running.class_path import class_path_of

SECONDS = 600
"""How long Spark's archive may take; usually half a minute."""

_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def archive_options(jar_folder: Path, kit: str) -> list[str]:
    """Options with which Java uses the archive of broker or registry, and writes it at a clean exit if there is no
    matching one."""
    archive = of_kit(jar_folder, kit)
    archive.parent.mkdir(parents=True, exist_ok=True)
    return ["-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={archive}", *_QUIET]


def of_kit(jar_folder: Path, kit: str) -> Path:
    """Where the archive of broker or registry is; their tools read it, too."""
    return _archive(jar_folder, kit, (jar_folder / kit).rglob("*.jar"))


def of_spark(settings: Settings) -> Path:
    """Where the archive of Spark's JVM is. Set-up makes it: at its end a driver has no half minute for it."""
    folder = jars.folder(settings)
    return _archive(folder, "spark", [*class_path_of(jars.class_path(folder, "spark")), java(settings)])


def make_of_spark(settings: Settings) -> str | None:
    """Write the archive for these jars and this Java.

    Returns: why it could not be made; everything works without it, only slower.
    """
    archive = of_spark(settings)
    partial = archive.with_name("spark.partial")
    program: list[str | Path] = [sys.executable, "-m", "correnteza.spark_classes", partial]
    program += [jars.folder(settings), java(settings)]
    try:
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"it took more than {SECONDS} s"
    if done.returncode != 0 or not partial.exists():
        return (done.stderr.strip().splitlines() or ["it wrote no file"])[-1]
    for former in archive.parent.glob("spark-*.jsa"):
        former.unlink()
    partial.replace(archive)
    return None


def used(archive: Path) -> list[str]:
    """Options with which Java uses an archive that was written by `written_to`; none if there is none."""
    return [f"-XX:SharedArchiveFile={archive}", *_QUIET] if archive.exists() else []


def written_to(archive: Path) -> list[str]:
    """Options with which Java writes an archive at a clean exit."""
    return [f"-XX:ArchiveClassesAtExit={archive}", *_QUIET]


def _archive(jar_folder: Path, kit: str, paths: Iterable[Path]) -> Path:
    return jar_folder / "java" / f"{kit}-{jars.fingerprint(paths)}.jsa"
