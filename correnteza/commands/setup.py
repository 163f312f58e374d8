"""`correnteza setup`: fetch the pinned jars, check them, and make the Java runtime quick to start."""

import os
import shutil
import sys
import time
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from correnteza.embedded import class_archive, jars, java, lock, maven
from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable
from foundation.files import keep_private
from foundation.redact import unescaped

_WORTH_A_LINE = 10_000_000
"""Bytes; without a progress bar only files of at least this size are announced."""


def command(
    refetch: Annotated[bool, typer.Option("--refetch", help="Fetch everything again.")] = False,
    offline: Annotated[Path | None, typer.Option(help="Take the jars from this folder, which --fill filled.")] = None,
    fill: Annotated[Path | None, typer.Option(help="Install nothing: put all jars into this folder.")] = None,
) -> None:
    """Fetch the pinned jars that are missing, and check each SHA-256. Prints nothing if nothing is missing."""
    os.umask(keep_private())  # programs keep their usual permissions, so that other users can run them
    settings = Settings()
    if fill is not None:
        _fill(fill / "jars", settings)
        return
    folder = jars.folder(settings)
    with jars.exclusive(folder):
        if not refetch and _is_current(folder):
            jars.verify(folder)
        else:
            _install(folder, settings, refetch=refetch, offline=offline)
        _start_quickly(settings, again=refetch)


def _start_quickly(settings: Settings, *, again: bool) -> None:
    started = time.monotonic()
    if java.dump_base_archive(settings) and (took := time.monotonic() - started) > 1:
        _say(f"Java's class archive: {took:.1f} s")
    java.spark_java_home(settings)
    if again or not class_archive.of_spark(settings).exists():
        _say("Spark's class archive: written once, in half a minute …")
        started = time.monotonic()
        trouble = class_archive.make_of_spark(settings)
        took_now = f"{time.monotonic() - started:.1f} s"
        _say(f"Spark's class archive: {f'none, so Spark starts slower: {trouble}' if trouble else took_now}")


def _is_current(folder: Path) -> bool:
    try:
        jars.require(folder)
    except DependencyUnavailable:
        return False
    return True


def _install(folder: Path, settings: Settings, *, refetch: bool, offline: Path | None) -> None:
    started = time.monotonic()
    downloads = folder / "downloads"
    if refetch:
        shutil.rmtree(downloads, ignore_errors=True)
    wanted = lock.read() if refetch else _absent(downloads, jars.missing(folder))
    stop = Event()
    with _Shown(wanted) as shown:
        fetch = (
            maven.offline_fetcher(offline / "jars")
            if offline is not None
            else maven.fetcher(downloads, settings.maven_settings, progress=shown.came, stop=stop)
        )
        files = jars.install(folder, fetch, refetch=refetch, stop=stop, progress=shown.finished)
    shutil.rmtree(downloads, ignore_errors=True)
    _say(
        f"jars: {shown} fetched in {time.monotonic() - started:.1f} s; {files} files in {folder}, "
        f"each as jars.lock says; Java {java.version(java.java(settings))}"
    )


def _fill(folder: Path, settings: Settings) -> None:
    started = time.monotonic()
    wanted = _absent(folder, lock.read())
    with _Shown(wanted) as shown:
        fetch = maven.fetcher(folder, settings.maven_settings, progress=shown.came)
        for artifact in wanted:
            fetch(artifact)
            shown.finished(artifact)
    _say(f"jars: {shown} fetched in {time.monotonic() - started:.1f} s; all of jars.lock is in {folder}")


def _absent(folder: Path, artifacts: list[lock.Artifact]) -> list[lock.Artifact]:
    """The artifacts that a folder of downloads does not hold completely."""
    return [artifact for artifact in artifacts if not maven.is_whole(maven.stored(folder, artifact), artifact)]


class _Shown:
    """Shows the progress of downloads: a bar on a terminal, lines elsewhere. As text: the number of files and bytes."""

    def __init__(self, wanted: list[lock.Artifact]) -> None:
        self._wanted = wanted
        self._finished: list[lock.Artifact] = []
        self._announced: set[lock.Artifact] = set()
        console = Console(file=unescaped(sys.stderr))
        self._is_drawn = console.is_terminal
        columns = (
            TextColumn("jars {task.fields[files]} of {task.fields[all]}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[name]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=not self._is_drawn)
        total = sum(artifact.size for artifact in wanted)
        self._task = self._progress.add_task("jars", total=total, files=0, all=len(wanted), name="")

    def __enter__(self) -> "_Shown":
        if self._wanted:
            _say(f"jars: to fetch {_amount(self._wanted)}, of {len(lock.read())}")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def came(self, artifact: lock.Artifact, size: int) -> None:
        """Some bytes of a file have arrived."""
        self._progress.update(self._task, advance=size, name=artifact.file_name)
        if artifact not in self._announced:
            self._announced.add(artifact)
            if not self._is_drawn and artifact.size >= _WORTH_A_LINE:
                _say(f"jars: {artifact.file_name}, {artifact.size / 1e6:.0f} MB …")

    def finished(self, artifact: lock.Artifact) -> None:
        """A file is in place."""
        if artifact in self._wanted:
            self._finished.append(artifact)
            self._progress.update(self._task, files=len(self._finished))

    def __str__(self) -> str:
        return _amount(self._finished)


def _amount(artifacts: list[lock.Artifact]) -> str:
    return f"{len(artifacts)} files with {sum(artifact.size for artifact in artifacts) / 1e6:.0f} MB"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
