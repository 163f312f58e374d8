"""The class path of Spark's JVM; without importing Spark, which takes a third of a second."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def class_path_of(jars: Sequence[Path]) -> list[Path]:
    """The driver's class path: these jars, and Spark's own, one by one.

    Spark's launcher adds its own as well, with one of them twice, and Java uses no class archive of such a path.
    """
    found = find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return [*jars, *sorted(Path(found.origin).with_name("jars").glob("*.jar"))]
