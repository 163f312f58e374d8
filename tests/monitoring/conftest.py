"""A small correct lake, made once, and a copy for each test to damage."""

import pytest

from tests.monitoring.kit import small_lake


@pytest.fixture(scope="session")
def intact(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("intact"))


@pytest.fixture
def kit(intact, tmp_path):
    return intact.copy_to(tmp_path)
