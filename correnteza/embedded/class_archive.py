"""Class archives (AppCDS): a JVM that maps its classes instead of parsing them starts in half the time."""

from pathlib import Path

from correnteza.embedded import jars


def archive_options(jar_folder: Path, kit: str) -> list[str]:
    """Options with which Java uses the archive of a kit, and writes it at a clean exit when there is none that fits.

    Java itself checks that the archive fits the runtime and the class path, and goes on without it where it does not.
    The kit's jars name the file, so that an upgrade starts a new one.
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
