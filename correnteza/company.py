"""The environment of dbt, Great Expectations and MLflow: theirs, because their dependencies clash with ours.

It lies over ours (deploy/environments.py), so that a command that needs one of them goes on in it, under the same
process id.
"""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from correnteza.settings import Settings
from foundation.errors import DependencyUnavailable, UsageError

ENVIRONMENT = ".company"


def require(package: str) -> None:
    """Return if the package is installed here; else this process runs the same command in the environment that has it.

    Args: package: as in deploy/company/requirements.in, such as `dbt-core`.

    Raises: DependencyUnavailable when neither has it.
    """
    if _has(package):
        return
    python = Path(sys.prefix).with_name(ENVIRONMENT) / "bin" / "python"
    if Path(sys.prefix).name == ENVIRONMENT or not python.exists():
        raise DependencyUnavailable(f"{package} is not installed", hint="make company")
    os.execv(python, [str(python), "-m", "correnteza", *sys.argv[1:]])


def local_lake(settings: Settings) -> Path:
    """The folder of the lake. Raises: UsageError for one in an object store, which these systems were not tried on."""
    lake = settings.lake_root
    if not isinstance(lake, Path):
        raise UsageError(f"marts and suites need a lake on a disk; this one is {lake}", hint="correnteza query")
    return lake.resolve()


def _has(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
