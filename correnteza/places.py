"""The folders of a driver, from the settings; separate from the command that starts one, so readers import less."""

from correnteza.settings import Settings
from storage import files
from stream_jobs.places import Places


def places(settings: Settings) -> Places:
    """Where the settings put tables, checkpoints and locks."""
    lake = files.resolved(settings.lake_root)
    return Places(str(lake), settings.checkpoints.resolve(), settings.run.resolve() / "locks")
