"""Read jars.lock: the artifacts that set-up fetches, each with its SHA-256 and size."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UnsafeState

LOCK_FILE = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True)
class Artifact:
    """One line of the lock: `<kit> <group>:<artifact>:<version>[:<packaging>[:<classifier>]] <sha256> <size>`.

    Attributes:
        kit: its user: `spark`, `kafka` or `registry`; also the name of its folder.
        size: in bytes. It is used for the progress of downloads; only the SHA-256 decides whether a file is right.
    """

    kit: str
    group: str
    name: str
    version: str
    packaging: str
    classifier: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The file name in Maven repositories."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{classifier}.{self.packaging}"

    @property
    def coordinate(self) -> str:
        """Its coordinate without default parts."""
        parts = [self.group, self.name, self.version]
        if self.packaging != "jar" or self.classifier:
            parts += [self.packaging, *([self.classifier] if self.classifier else [])]
        return ":".join(parts)

    @property
    def line(self) -> str:
        """Its line in the lock."""
        return f"{self.kit} {self.coordinate} {self.sha256} {self.size}"


def artifact(kit: str, coordinate: str, sha256: str = "", size: int = 0) -> Artifact:
    """An artifact from its coordinate.

    Raises:
        ValueError: fewer than three parts or more than five.
    """
    group, name, version, *more = coordinate.split(":")
    if len(more) > 2:
        raise ValueError(f"not a Maven coordinate: {coordinate}")
    packaging, classifier = more + ["jar", ""][len(more) :]
    return Artifact(kit, group, name, version, packaging, classifier, sha256, size)


def read(lock_file: Path = LOCK_FILE) -> list[Artifact]:
    """All artifacts of the lock, in its order.

    Raises:
        UnsafeState: a line has another form, a digest is not a SHA-256, or a size is not a number.
    """
    artifacts = []
    for number, line in enumerate(lock_file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            kit, coordinate, sha256, size = line.split()
            if len(bytes.fromhex(sha256)) != hashlib.sha256().digest_size:
                raise ValueError(sha256)
            artifacts.append(artifact(kit, coordinate, sha256, int(size)))
        except ValueError:
            raise UnsafeState(f"{lock_file.name}, line {number}: not an artifact with its SHA-256 and size") from None
    return artifacts


def file_sha256(path: Path) -> str:
    """Of a file's content, in lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
