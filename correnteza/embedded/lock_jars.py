"""Write a new jars.lock (`make lock`): Maven resolves the roots below, this file hashes all their dependencies.

Run: python -m correnteza.embedded.lock_jars. Needs `mvn`; read the difference before you commit it.
"""

import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from correnteza.embedded.lock import LOCK_FILE, artifact, file_sha256
from correnteza.embedded.maven import fetcher
from correnteza.settings import Settings

ROOTS = {
    "spark": (
        "io.delta:delta-spark_4.1_2.13:4.4.0",
        # Not 4.1.1 or 4.1.2: with those a batch re-run after a crash commits, and then its query dies (SPARK-55271).
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.3",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1",
        "org.apache.spark:spark-avro_2.13:4.1.1",
        # S3A of pyspark's Hadoop, with the modules of the AWS SDK that it uses instead of the bundle (641 MB).
        "org.apache.hadoop:hadoop-aws:3.4.2",
        "software.amazon.awssdk:s3:2.29.52",
        "software.amazon.awssdk:s3-transfer-manager:2.29.52",
        # Sets the rights of local files by Java's own call; Hadoop's way is a `chmod` process for each.
        "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",
    ),
    "kafka": (
        "org.apache.kafka:kafka_2.13:4.4.0",
        # Kafka speaks the slf4j 1.7 API, so not log4j-slf4j2-impl; without a backend it logs nothing.
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3",
    ),
    "registry": ("io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all",),
}

# pyspark contains shims in another form: RoaringBitmap 1.x has no shims.
# jcl-over-slf4j stands in for commons-logging; our clients of S3 are not asynchronous ones.
NOT_NEEDED = {"shims", "commons-logging"}
EXCLUDED = ("software.amazon.awssdk:bundle:", "software.amazon.awssdk:netty-nio-client:")
"""Of every root: S3A runs without them."""

HEAD = """\
# Every jar beside pyspark's own: <kit> <group>:<artifact>:<version>[:<packaging>[:<classifier>]] <SHA-256> <bytes>
# Written by `make lock` (correnteza/embedded/lock_jars.py, which holds the roots); fetched by `correnteza setup`.
"""


def main() -> None:
    """Resolve, fetch, hash, write."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fetch = fetcher(work / "repository", Settings().maven_settings)
        lines = [HEAD]
        for kit, roots in ROOTS.items():
            coordinates = roots if kit == "registry" else _runtime_jars(roots, work)
            if kit == "spark":
                coordinates = [each for each in coordinates if each.split(":")[1] not in _in_pyspark() | NOT_NEEDED]
            for coordinate in coordinates:
                path = fetch(artifact(kit, coordinate))
                lines.append(artifact(kit, coordinate, file_sha256(path), path.stat().st_size).line + "\n")
            lines.append("\n")
        LOCK_FILE.write_text("".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _runtime_jars(roots: tuple[str, ...], work: Path) -> list[str]:
    """The runtime closure of some roots, as Maven resolves it."""
    dependencies = "".join(_dependency(root, [other for other in roots if other != root]) for root in roots)
    (work / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>lock</groupId><artifactId>lock</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
    listing = work / "list.txt"
    command = ["mvn", "-q", "-B", "dependency:list", "-DincludeScope=runtime", "-Dsort=true", f"-DoutputFile={listing}"]
    subprocess.run(command, cwd=work, check=True)
    found = []
    for line in listing.read_text().splitlines():
        # group:artifact:jar:version:scope, perhaps followed by a module's name
        parts = line.strip().split(" ")[0].split(":")
        if len(parts) == 5 and parts[2] == "jar":
            found.append(f"{parts[0]}:{parts[1]}:{parts[3]}")
    return found


def _dependency(root: str, others: list[str]) -> str:
    """A root for pom.xml. It excludes the other roots, so that they are resolved in the version pinned here: the
    connector 4.1.3 would need a token provider 4.1.3, which not every mirror has.
    """
    exclusions = "".join(f"<exclusion>{_pair(other)}</exclusion>" for other in (*others, *EXCLUDED))
    version = root.split(":")[2]
    return f"<dependency>{_pair(root)}<version>{version}</version><exclusions>{exclusions}</exclusions></dependency>"


def _pair(coordinate: str) -> str:
    group, name, _ = coordinate.split(":")
    return f"<groupId>{group}</groupId><artifactId>{name}</artifactId>"


def _in_pyspark() -> set[str]:
    """Artifact names of the jars inside the pyspark wheel."""
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jars = Path(spec.origin).parent / "jars"
    return {re.sub(r"-\d.*", "", jar.stem) for jar in jars.glob("*.jar")}


if __name__ == "__main__":
    main()
