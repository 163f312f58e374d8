"""Where the settings put what a driver keeps; apart from the verb that starts one, for those who only look."""

from correnteza.settings import Settings
from stream_jobs.places import Places


def places(settings: Settings) -> Places:
    """Where the settings put tables, checkpoints and locks."""
    return Places(str(settings.lake.resolve()), settings.checkpoints.resolve(), settings.run.resolve() / "locks")
