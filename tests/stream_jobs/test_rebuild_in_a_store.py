"""The same rebuilds with lake and archive in an object store: silver, there and back; bronze that is lost."""

import pytest

from tests.stores import in_store, lake, store
from tests.stream_jobs.test_rebuild import (
    test_a_rebuilt_dataset_is_equal_gold_goes_on_and_the_live_query_goes_on_with_the_shadow_s_checkpoint,
)
from tests.stream_jobs.test_rebuild_bronze import (
    test_a_table_deleted_by_hand_comes_back_and_silver_follows_from_it_again,
)
from tests.stream_jobs.test_rebuild_bronze_from_archive import (
    filled,
    served,
    test_lost_tables_whose_topics_are_empty_come_back_as_they_were_published,
)

__all__ = [
    "filled",
    "in_store",
    "lake",
    "served",
    "store",
    "test_a_rebuilt_dataset_is_equal_gold_goes_on_and_the_live_query_goes_on_with_the_shadow_s_checkpoint",
    "test_a_table_deleted_by_hand_comes_back_and_silver_follows_from_it_again",
    "test_lost_tables_whose_topics_are_empty_come_back_as_they_were_published",
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
