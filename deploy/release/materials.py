"""The bill of materials of a release, as CycloneDX: every package and jar that the lock files name, by SHA-256.

pyspark brings Spark's own jars within its package: they are part of that package here, and have no lines of their own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from correnteza.embedded import lock

_PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)
_SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def write(packages: Path, file: Path, version: str) -> int:
    """Write the bill.

    Args:
        packages: lock file of the packages, as pip reads it with `--require-hashes`.
        version: of the release.

    Returns: how many components it names.
    """
    bill = Bom(components=[*_packages(packages.read_text(encoding="utf-8")), *_jars()])
    bill.metadata.component = Component(name="correnteza", version=version, type=ComponentType.APPLICATION)
    bill.register_dependency(bill.metadata.component, bill.components)
    file.write_text(JsonV1Dot6(bill).output_as_string(indent=1), encoding="utf-8")
    return len(bill.components)


def _packages(locked: str) -> Iterator[Component]:
    """A package has a hash for each of its files: wheels of several platforms, and its sources."""
    found = list(_PINNED.finditer(locked))
    ends = [each.start() for each in found[1:]] + [len(locked)]
    for each, end in zip(found, ends, strict=True):
        name, version = each["name"], each["version"]
        purl = PackageURL("pypi", name=name, version=version)
        hashes = [_sha256(digest) for digest in _SHA256.findall(locked, each.end(), end)]
        yield Component(name=name, version=version, purl=purl, bom_ref=str(purl), hashes=hashes)


def _jars() -> Iterator[Component]:
    seen = set()
    for each in lock.read():
        form = {"type": each.packaging, "classifier": each.classifier} if each.packaging != "jar" else None
        purl = PackageURL("maven", each.group, each.name, each.version, form)
        if purl not in seen:  # the broker and Spark share some
            seen.add(purl)
            yield Component(
                name=each.name,
                group=each.group,
                version=each.version,
                purl=purl,
                bom_ref=str(purl),
                hashes=[_sha256(each.sha256)],
            )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
