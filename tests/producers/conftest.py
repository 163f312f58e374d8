"""What the producers' tests share."""

import pytest

from correnteza import topics
from producers import poll
from schemas.contracts import load_all


@pytest.fixture
def target(settings) -> poll.Services:
    """This test's own topics, on the shared broker."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)
