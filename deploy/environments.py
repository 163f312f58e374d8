"""Make an environment beside the product's, from the lock of its folder: `python -m deploy.environments company`.

`.company` (dbt, Great Expectations, MLflow) lies over the product's environment: what is not in it is taken from there,
so that pyspark and the product stand on the disk once. `.airflow` stands alone: Airflow starts commands, and imports
nothing of ours, so it can be made at the same time as the product's.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from correnteza.bootstrap import own_lines_of_pip

HERE = Path(__file__).parent
PRODUCT = HERE.parent / ".venv"
OVER_OURS = {"company": True, "airflow": False}
UNDER = "below-it-the-product.pth"


def make(name: str) -> None:
    """Make an environment and install its lock; pip's output appears only if pip fails. Exits with 4 then."""
    environment = PRODUCT.with_name(f".{name}")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    if OVER_OURS[name]:
        (own,) = environment.glob("lib/python*/site-packages")
        product = str(PRODUCT / own.relative_to(environment))
        (own / UNDER).write_text(f"import site; site.addsitedir({product!r})\n", encoding="utf-8")
    with own_lines_of_pip() as alone:
        _install(environment, alone)
    _install(environment, str(HERE / name / "requirements.lock"))


def _install(environment: Path, lock: str) -> None:
    # Of thousands of modules some hundreds are ever imported: those are compiled then.
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--no-compile"]
    # A lock holds all that the systems need; --no-deps, because pip would judge the product's own pins, too.
    locked = ["--no-deps", "--require-hashes", "--requirement", lock]
    done = subprocess.run([*pip, *locked], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=OVER_OURS)
    make(parser.parse_args().name)
