"""Make .company: the environment of dbt, Great Expectations and MLflow, from requirements.lock beside this file.

`python -m deploy.company.install` (`make company`). It lies over the product's environment: what is not in it is taken
from there, so that pyspark and the product stand on the disk once.
"""

import site
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = Path(sys.prefix).with_name(".company")
UNDER = "below-it-the-product.pth"


def main() -> None:
    """Make the environment and install the lock; pip's output appears only if pip fails. Exits with 4 then."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)], check=True)
    (own,) = ENVIRONMENT.glob("lib/python*/site-packages")
    (product,) = (path for path in site.getsitepackages() if Path(path).is_relative_to(sys.prefix))
    (own / UNDER).write_text(f"import site; site.addsitedir({product!r})\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT / "bin/python"), "install"]
    # The lock holds all that the systems need; --no-deps, because pip would judge the product's own pins, too.
    locked = ["--no-deps", "--require-hashes", "--requirement", str(HERE / "requirements.lock")]
    done = subprocess.run([*pip, *locked], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    main()
