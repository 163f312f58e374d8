"""Run independent steps one after the other. A step that fails does not stop the others; several failures in a row
do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from foundation.errors import CorrentezaError, FencedError, UnsafeState
from producers.fetch.answers import ThrottledError
from producers.session import Session

MOST_IN_A_ROW = 3
"""After so many failures in a row the source counts as unreachable. Each step retries for up to three minutes."""

Step = tuple[str, Callable[[], None]]
"""(name, function)"""


@dataclass
class StepResults:
    """The results of the steps.

    Attributes:
        error: the first failure, or the source's request for a pause.
        failed: names of the steps that failed.
        passed: how many succeeded.
        gave_up: whether steps were left out.
    """

    error: CorrentezaError | None = None
    failed: list[str] = field(default_factory=list)
    passed: int = 0
    gave_up: bool = False


def run_steps(session: Session, steps: Iterable[Step]) -> StepResults:
    """Run each step; failures are added to the session's tally.

    The kind of failure does not matter: a series that was removed is always refused, and a server may be down for a
        long time. The remaining steps are skipped after MOST_IN_A_ROW failures; at once if the source asks for a pause,
        or if the broker failed, because nothing can be published without it.

    Raises: FencedError and UnsafeState.
    """
    ended, in_a_row = StepResults(), 0
    for name, step in steps:
        try:
            step()
        except (FencedError, UnsafeState):
            raise
        except CorrentezaError as error:
            session.tally.problems.append(f"{name}: {error}")
            is_throttled = isinstance(error, ThrottledError)
            ended.error = error if is_throttled else ended.error or error
            ended.failed.append(name)
            in_a_row += 1
            if in_a_row == MOST_IN_A_ROW or is_throttled or session.publisher.has_failed:
                ended.gave_up = True
                break
        else:
            in_a_row = 0
            ended.passed += 1
    return ended
