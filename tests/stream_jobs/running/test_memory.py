"""The memory of the driver's JVM, as the JVM reports it."""

import threading
from types import SimpleNamespace

import pytest
from py4j.protocol import Py4JNetworkError

from monitoring.metrics.stream import StreamMetrics
from stream_jobs.running.memory import Memory
from tests.helpers import wait_for


def sessions(bean):
    factory = SimpleNamespace(getMemoryMXBean=lambda: bean)
    jvm = SimpleNamespace(
        java=SimpleNamespace(lang=SimpleNamespace(management=SimpleNamespace(ManagementFactory=factory)))
    )
    return SimpleNamespace(sparkContext=SimpleNamespace(_jvm=jvm))


def usage(used, committed, most):
    return SimpleNamespace(getUsed=lambda: used, getCommitted=lambda: committed, getMax=lambda: most)


def value(metrics, name, area):
    return metrics.registry.get_sample_value(f"correnteza_jvm_memory_{name}_bytes", {"area": area})


def test_heap_and_other_memory_are_reported_and_a_missing_limit_is_absent():
    metrics = StreamMetrics([], [])
    bean = SimpleNamespace(getHeapMemoryUsage=lambda: usage(3, 4, 5), getNonHeapMemoryUsage=lambda: usage(1, 2, -1))
    Memory(sessions(bean), metrics).look()
    assert [value(metrics, name, "heap") for name in ("used", "committed", "max")] == [3, 4, 5]
    assert [value(metrics, name, "nonheap") for name in ("used", "committed", "max")] == [1, 2, None]


def test_the_thread_ends_with_the_jvm():
    def gone():
        raise Py4JNetworkError("the JVM is gone")

    memory = Memory(sessions(SimpleNamespace(getHeapMemoryUsage=gone)), StreamMetrics([], []))
    memory.start()
    wait_for(lambda: "memory" not in {each.name for each in threading.enumerate()}, "the end of the thread")
    with pytest.raises(Py4JNetworkError):
        memory.look()


def test_a_real_jvm_says_what_it_takes(spark):
    metrics = StreamMetrics([], [])
    memory = Memory(spark, metrics)
    memory.start()
    wait_for(lambda: value(metrics, "committed", "nonheap"), "the first look")
    memory.stop()
    used, committed, most = (value(metrics, name, "heap") for name in ("used", "committed", "max"))
    assert 10e6 < used <= committed <= most
