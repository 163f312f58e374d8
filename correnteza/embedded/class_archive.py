"""Class archives (AppCDS): a JVM that maps its classes instead of parsing them starts in half the time."""

from pathlib import Path

from correnteza.embedded import jars


def archive_options(jar_folder: Path, kit: str) -> list[str]:
    """Options with which Java uses the archive of a kit, and writes it at a clean exit if there is no matching one.

    Java itself checks that the archive matches the runtime and the class path, and runs without it otherwise. The
    file's name depends on the kit's jars, so that an upgrade begins a new one.
    """
    folder = jar_folder / "java"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{kit}-{jars.fingerprint((jar_folder / kit).rglob('*.jar'))}.jsa"
    return [
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={archive}",
        "-Xlog:cds=off",
        "-Xlog:cds+dynamic=off",
    ]
