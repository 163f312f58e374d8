"""A partition without a leader is asked for again, for a while; every other error is raised at once."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from foundation.leaders import once_led


def answers(*codes: int):
    """A question that fails with each of these codes first, and then has an answer; and how often it was asked."""
    left, asked = list(codes), []

    def ask() -> str:
        asked.append(1)
        if left:
            raise KafkaException(KafkaError(left.pop(0)))
        return "answered"

    return ask, asked


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE])
def test_a_partition_without_a_leader_is_asked_for_again(code):
    ask, asked = answers(code, code)
    assert (once_led(ask, 60), len(asked)) == ("answered", 3)


@pytest.mark.parametrize(
    ("code", "seconds"), [(KafkaError.UNKNOWN_TOPIC_OR_PART, 60), (KafkaError.NOT_LEADER_FOR_PARTITION, -1)]
)
def test_another_error_and_the_deadline_are_raised(code, seconds):
    ask, asked = answers(code)
    with pytest.raises(KafkaException):
        once_led(ask, seconds)
    assert len(asked) == 1
