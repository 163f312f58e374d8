"""The seed of every random test: one variable, `SEED`, for all of them.

    SEED=7 make test          draws other sequences than every other run; 7 again draws the same ones

Unset, each test has a fixed seed of its own, so that a plain run is the same each time; Hypothesis alone draws again,
and prints what repeats a failure. A run prints its seed in its first lines, each test the seed it used when it fails.
"""

import os

import hypothesis.core

SEED = "SEED"


def seed_of(environment: dict[str, str] | None = None, default: int = 20261124) -> int:
    """The seed that `SEED` gives, or the fixed one. Raises: ValueError when it is no number."""
    return int((environment or dict(os.environ)).get(SEED) or default)


def pytest_report_header() -> str:
    """Report the seed of this run."""
    return f"random tests: {SEED}={os.environ[SEED]}" if os.environ.get(SEED) else f"random tests: no {SEED} is set"


def seed_hypothesis() -> None:
    """Let `SEED` decide what Hypothesis draws, too."""
    if os.environ.get(SEED):
        hypothesis.core.global_force_seed = seed_of()
