"""A topic that the broker does not know is no answer and no error; every other error is raised."""

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from foundation.topic_answers import unless_unknown


def failed(code: int) -> Future[str]:
    answer: Future[str] = Future()
    answer.set_exception(KafkaException(KafkaError(code)))
    return answer


def test_the_answer_is_given_as_it_came():
    answer: Future[str] = Future()
    answer.set_result("described")
    assert unless_unknown(answer) == "described"


def test_a_topic_that_is_not_known_has_no_answer():
    assert unless_unknown(failed(KafkaError.UNKNOWN_TOPIC_OR_PART)) is None


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._TIMED_OUT])
def test_another_error_is_raised(code):
    with pytest.raises(KafkaException):
        unless_unknown(failed(code))
