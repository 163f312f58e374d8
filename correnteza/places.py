"""The folders of a driver, from the settings; separate from the command that starts one, so readers import less."""

from correnteza.settings import Settings
from stream_jobs.places import Places


def places(settings: Settings) -> Places:
    """Where the settings put tables, checkpoints and locks."""
    return Places(str(settings.lake.resolve()), settings.checkpoints.resolve(), settings.run.resolve() / "locks")
