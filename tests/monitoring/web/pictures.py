"""Writes the two pictures of the status page in docs/pictures: `.venv/bin/python -m tests.monitoring.web.pictures`."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from monitoring.web.page import render
from tests.chromium import chromium
from tests.monitoring.web import documents

FOLDER = Path("docs/pictures")


def main() -> None:
    """A wide page in light colours with trouble, and a narrow one in dark colours without."""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        for name, document, width, height, dark in (
            ("status-in-trouble.png", documents.in_trouble(), 1280, 1900, False),
            ("status-fresh-narrow.png", documents.well(), 360, 1340, True),
        ):
            browser.show(render(document, documents.history(document)), width=width, height=height, dark=dark)
            # Few colours: a quarter of the size, and nobody sees it.
            Image.open(io.BytesIO(browser.picture())).convert("RGB").quantize(192, Image.Quantize.MAXCOVERAGE).save(
                FOLDER / name, optimize=True
            )


if __name__ == "__main__":
    main()
