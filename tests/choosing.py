"""For tests of what an installation chooses by its settings."""

from collections.abc import Callable, Iterator

import pytest

from correnteza import chosen
from schemas import choices


@pytest.fixture
def choose() -> Iterator[Callable[..., None]]:
    """`choose(polled={…}, places={…}, thresholds={…})`, as in the settings, for one test."""

    def use(**given):
        choices.use(
            chosen.polled(given.get("polled", {})),
            chosen.places(given.get("places", {})),
            chosen.thresholds(given.get("thresholds", {})),
        )

    yield use
    choices.use({}, ())
