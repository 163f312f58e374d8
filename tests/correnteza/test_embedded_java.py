"""The Java runtime is found, checked, and wrapped for Spark."""

import subprocess
from pathlib import Path

import pytest

from correnteza.embedded import java
from correnteza.settings import Settings
from foundation.errors import UsageError

MODULE = "--add-modules=jdk.incubator.vector"


def fake_java(home: Path, banner: str) -> Path:
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    program.chmod(0o755)
    return home


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([home / "bin/java", *arguments], capture_output=True, text=True, check=False)


def test_the_pinned_runtime_is_new_enough():
    assert java.version(java.java(Settings())) >= java.OLDEST


def test_an_older_java_is_refused(tmp_path):
    old = fake_java(tmp_path / "old", 'openjdk version "17.0.15" 2025-04-15')
    with pytest.raises(UsageError, match="is Java 17; 21 or newer"):
        java.java(Settings(java_home=old))


def test_a_newer_java_is_taken(tmp_path):
    new = fake_java(tmp_path / "new", 'openjdk version "23.0.1" 2025-04-15')
    assert java.java(Settings(java_home=new)) == new


def test_a_folder_without_java_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no Java runs"):
        java.java(Settings(java_home=tmp_path))


def test_spark_can_ask_for_a_module_that_the_runtime_lacks(tmp_path):
    settings = Settings(jars=tmp_path / "with a space")
    wrapped = run(java.spark_java_home(settings), "-Dkept=a b", MODULE, "-version")
    bare = run(java.java(settings), "-Dkept=a b", MODULE, "-version")
    assert (wrapped.returncode, bare.returncode) == (0, 1)
    assert "21." in wrapped.stderr
