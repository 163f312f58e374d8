"""`correnteza setup`: fetch the pinned jars, check them, and make the Java runtime quick to start."""

import shutil
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from correnteza.embedded import jars, java, lock, maven
from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable


def command(
    refetch: bool = typer.Option(False, "--refetch", help="Fetch everything again, whatever is there."),
) -> None:
    """Fetch the pinned jars and check each SHA-256. Quick when they are there: they are only checked again."""
    settings = Settings()
    folder = jars.folder(settings)
    with jars.exclusive(folder):
        files = _fetch(settings) if refetch or not _is_current(folder) else jars.verify(folder)
    java.dump_base_archive(settings)
    java.spark_java_home(settings)
    print(
        f"{files} files in {folder}, each as jars.lock says; Java {java.version(java.java(settings))}", file=sys.stderr
    )


def _is_current(folder: Path) -> bool:
    try:
        jars.require(folder)
    except DependencyUnavailable:
        return False
    return True


def _fetch(settings: Settings) -> int:
    folder = jars.folder(settings)
    downloads = folder / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)  # a download cut short would be taken for a whole one
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("jars", total=len(lock.read()))

        def advance(artifact: lock.Artifact) -> None:
            progress.update(task, advance=1, description=artifact.name)

        files = jars.install(folder, maven.fetcher(downloads, settings.maven_settings), progress=advance)
    shutil.rmtree(downloads)
    return files
