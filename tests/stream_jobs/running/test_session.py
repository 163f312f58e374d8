"""What the session sets beside Spark's own defaults, seen in the JVM."""

from pathlib import Path
from typing import Any

FILES = 5


def children_at_work(spark: Any, files: Any, folder: Path) -> list[str]:
    """Make some files as a checkpoint does, and see whether the JVM has waited for processes meanwhile."""
    jvm = spark._jvm
    before = _faults_of_children(jvm)
    for number in range(FILES):
        files.create(jvm.org.apache.hadoop.fs.Path(str(folder / str(number))), True).close()
    faults = _faults_of_children(jvm) - before
    return [f"processes that had {faults} page faults helped with {FILES} files"] if faults else []


def _faults_of_children(jvm: Any) -> int:
    """Page faults of the processes that the JVM has started and that have ended (`cminflt` of proc(5))."""
    pid = jvm.java.lang.ProcessHandle.current().pid()
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8])


def local_files(spark: Any, **changed: str) -> Any:
    """Hadoop's file system for local files in a session."""
    jvm = spark._jvm
    configuration = jvm.org.apache.hadoop.conf.Configuration(spark.sparkContext._jsc.hadoopConfiguration())
    for name, value in changed.items():
        configuration.set(name.replace("_", "."), value)
    return jvm.org.apache.hadoop.fs.FileSystem.newInstance(jvm.java.net.URI("file:///"), configuration)


def test_control_files_are_made_without_a_process_for_each(spark, tmp_path, control):
    stock = local_files(spark, fs_file_impl="org.apache.hadoop.fs.LocalFileSystem")
    control.holds(children_at_work, spark, local_files(spark), tmp_path)
    control.objects(children_at_work, spark, stock, tmp_path, damage=f"helped with {FILES} files")


def test_files_get_the_rights_that_they_had_with_hadoop_s_own_class(spark, tmp_path):
    stock = local_files(spark, fs_file_impl="org.apache.hadoop.fs.LocalFileSystem")
    modes = []
    for name, files in (("ours", local_files(spark)), ("stock", stock)):
        path = spark._jvm.org.apache.hadoop.fs.Path(str(tmp_path / name / "offsets" / "0"))
        files.create(path, True).close()
        made = tmp_path / name / "offsets"
        modes.append([file.stat().st_mode for file in (made, made / "0", made / ".0.crc")])
    assert modes[0] == modes[1]
