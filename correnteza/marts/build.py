"""Build the marts: register what is there, check what the models write, let dbt run what follows from a change.

dbt finds the session of this process. Sources are views of one version of each table, so that all models read the same
and none can be written. Only a build whose models and tests all succeeded is noted.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from correnteza.marts import built
from correnteza.marts.relations import SCHEMA, require_own
from correnteza.marts.sources import present
from foundation.errors import UnsafeState, UsageError
from sinks.locks import TableLocks
from storage import delta

_COUNTED = {
    "inserted": "numTargetRowsInserted",
    "updated": "numTargetRowsUpdated",
    "deleted": "numTargetRowsDeleted",
}
_ANSI = "spark.sql.ansi.enabled"


@dataclass(frozen=True)
class Mart:
    """What a build did to a table: rows inserted, updated and deleted."""

    name: str
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class Marts:
    """Where everything is.

    Attributes:
        lake: root of the tables. home: folder for dbt's own files and the note of the last build.
        project: the dbt project. locks: folder of the table locks.
    """

    lake: Path
    home: Path
    project: Path
    locks: Path

    @property
    def noted(self) -> Path:
        """The note of the last build."""
        return self.home / "built.json"

    @property
    def tables(self) -> Path:
        """Folder of the marts' tables."""
        return self.lake / SCHEMA


def changed_sources(marts: Marts) -> dict[str, int]:
    """Source → version, of the sources with another version than the last build had; all of them if the project or the
    marts are not those of that build.

    Raises: UsageError when no table that a mart reads exists.
    """
    return _changed(marts, _versions_to_read(marts), built.read(marts.noted), built.hash_of(marts.project))


def build(spark: SparkSession, marts: Marts) -> list[Mart]:
    """Make what follows from changed sources, with the tests of both; nothing if nothing changed.

    Returns: the marts that were made, in order of name.

    Raises:
        UsageError: the project would write elsewhere than to the schema `marts`.
        UnsafeState: a model or a test failed. Models below it were not made, and the build is not noted.
    """
    locks = TableLocks(spark, marts.locks)
    locks.acquire(SCHEMA)
    try:
        versions, last, project = _versions_to_read(marts), built.read(marts.noted), built.hash_of(marts.project)
        changed = _changed(marts, versions, last, project)
        if not changed:
            return []
        before = _versions(marts)
        with _registered(spark, marts, versions):
            manifest = parse(marts)
            is_new = last is not None and last.project != project
            _run(marts, manifest, _selection(changed, versions, manifest, is_everything=is_new), is_new=is_new)
        built.write(marts.noted, built.Built(project, versions))
        return [*_changes(marts, before)]
    finally:
        locks.release()


def _versions_to_read(marts: Marts) -> dict[str, int]:
    """Source → its newest version. Raises: UsageError when there is none."""
    versions = present(marts.lake)
    if not versions:
        raise UsageError("the lake holds nothing that a mart reads yet", hint="correnteza run all --once")
    return versions


def _changed(marts: Marts, versions: dict[str, int], last: built.Built | None, project: str) -> dict[str, int]:
    if last is None or last.project != project or not marts.tables.exists():
        return versions
    return {name: version for name, version in versions.items() if last.versions.get(name) != version}


def parse(marts: Marts) -> Any:
    """dbt's manifest of the project. Raises: UsageError, also when a model would write elsewhere."""
    done = _dbt(marts, ["parse"])
    if not done.success:
        raise UsageError(f"dbt cannot read the project: {done.exception}", hint=f"{marts.home}/logs/dbt.log")
    require_own(done.result.nodes.values(), marts.tables)
    return done.result


def docs(marts: Marts) -> Path:
    """Write the marts' documentation with their lineage, one HTML file that loads nothing from elsewhere. No Spark."""
    parse(marts)
    done = _dbt(marts, ["docs", "generate", "--static", "--no-compile", "--empty-catalog"])
    if not done.success:
        raise UsageError(f"dbt cannot write the documentation: {done.exception}", hint=f"{marts.home}/logs/dbt.log")
    return marts.home / "target" / "static_index.html"


def _selection(
    changed: Mapping[str, int], versions: Mapping[str, int], manifest: Any, *, is_everything: bool
) -> list[str]:
    """dbt's options for the models and tests below some sources, without those that lack one."""
    declared = {f"{each.schema}.{each.name}" for each in manifest.sources.values()}
    wanted = versions if is_everything else changed
    select = ["--select", *(f"source:{name}+" for name in sorted(wanted))]
    absent = sorted(declared - versions.keys())
    return [*select, *(["--exclude", *(f"source:{name}+" for name in absent)] if absent else [])]


def _run(marts: Marts, manifest: Any, selection: list[str], *, is_new: bool) -> None:
    done = _dbt(marts, ["build", *selection, *(["--full-refresh"] if is_new else [])], manifest)
    if done.success:
        return
    if done.exception:
        raise UnsafeState(f"dbt failed: {str(done.exception)[:500]}", hint=f"{marts.home}/logs/dbt.log")
    wrong = [f"{each.node.name}: {each.message}" for each in done.result.results if each.status in ("error", "fail")]
    raise UnsafeState(
        f"{len(wrong)} models or tests failed: {'; '.join(wrong)[:1000]}", hint=f"{marts.home}/logs/dbt.log"
    )


def _dbt(marts: Marts, command: list[str], manifest: Any = None) -> Any:
    from dbt.cli.main import dbtRunner  # only the environment that `make company` makes has it

    places = {"project-dir": marts.project, "profiles-dir": marts.project}
    places |= {"target-path": marts.home / "target", "log-path": marts.home / "logs"}
    options = [part for name, place in places.items() for part in (f"--{name}", str(place))]
    options += ["--vars", json.dumps({"marts": str(marts.tables)})]
    return dbtRunner(manifest=manifest).invoke(["--quiet", *command, *options])


@contextmanager
def _registered(spark: SparkSession, marts: Marts, versions: Mapping[str, int]) -> Iterator[None]:
    """The session's catalog knows the sources and the marts that exist; afterwards the session is as it was.

    The adapter turns ANSI off for the session that it finds: a bad cast would give null.
    """
    ansi = spark.conf.get(_ANSI)
    for schema in sorted({name.partition(".")[0] for name in versions}):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for name, version in versions.items():
        path = f"{marts.lake}/{name.replace('.', '/')}"
        spark.sql(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM delta.`{path}` VERSION AS OF {version}")
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for name in _versions(marts):
        spark.sql(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{name} USING delta LOCATION '{marts.tables / name}'")
    try:
        yield
    finally:
        spark.conf.set(_ANSI, str(ansi))
        for name in versions:
            spark.sql(f"DROP VIEW IF EXISTS {name}")
        # Their files stay: every model has a place of its own (require_own), so the catalog does not own them.
        for name in _versions(marts):
            spark.sql(f"DROP TABLE IF EXISTS {SCHEMA}.{name}")


def _versions(marts: Marts) -> dict[str, int]:
    """Mart → its newest Delta version."""
    paths = sorted(path.parent for path in marts.tables.glob("*/_delta_log"))
    return {path.name: delta.table(path).version() for path in paths}


def _changes(marts: Marts, before: Mapping[str, int]) -> Iterator[Mart]:
    for name, version in _versions(marts).items():
        if before.get(name) == version:
            continue
        done = delta.table(marts.tables / name).history(1)[0].get("operationMetrics", {})
        if "numTargetRowsInserted" in done:
            yield Mart(name, **{word: int(done[metric]) for word, metric in _COUNTED.items()})
        else:  # the table is new, or was made anew
            yield Mart(name, int(done.get("numOutputRows", 0)), 0, 0)
