"""When a child process that died is restarted. A pure function, without processes and clock."""

from dataclasses import dataclass

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
WELL_AFTER_SECONDS = 60.0
"""After a child has run this long, the count of quick deaths starts again."""
MOST_QUICK_DEATHS = 8

# Exit codes (foundation/errors.py) for which a restart does not help: a wrong argument or setting, an unsafe state.
HOPELESS = (2, 3)


@dataclass
class Restarts:
    """The restarts of one child."""

    quick_deaths: int = 0

    def after_death(self, exit_code: int, ran_seconds: float) -> float | None:
        """Seconds to wait before the next start (1, 2, 4 ... 60), or None to give up."""
        if exit_code in HOPELESS:
            return None
        if ran_seconds >= WELL_AFTER_SECONDS:
            self.quick_deaths = 0
        self.quick_deaths += 1
        if self.quick_deaths >= MOST_QUICK_DEATHS:
            return None
        return min(FIRST_WAIT_SECONDS * 2.0 ** (self.quick_deaths - 1), LONGEST_WAIT_SECONDS)
