"""The Spark session: every setting that the pipeline depends on, and the check that the vital ones are in force.

Only this module, `cluster` and the locks know on how many machines everything runs.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from foundation.errors import UnsafeState
from schemas.limits import MAX_RECORD_BYTES
from stream_jobs.running import cluster
from stream_jobs.running.class_path import class_path_of

# A 13-byte record that claims a string of 500 MB kills the whole JVM without these, and again after every restart.
# What the longest record can hold must pass, else bronze would file as corrupt what the producer lets out.
AVRO_LIMITS = {
    "org.apache.avro.limits.string.maxLength": str(MAX_RECORD_BYTES),
    "org.apache.avro.limits.bytes.maxLength": str(MAX_RECORD_BYTES),
    "org.apache.avro.limits.collectionItems.maxLength": str(MAX_RECORD_BYTES // 2),  # a map's entry: two bytes or more
}

JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    # A full collection gives back what is free beyond a third of the heap; by default only beyond 70 percent, and in
    # several steps. Spark asks for one every five minutes (below). The heap grows again when it must.
    "-XX:MinHeapFreeRatio=20",
    "-XX:MaxHeapFreeRatio=35",
    "-XX:-ShrinkHeapInSteps",
    "-XX:ReservedCodeCacheSize=512m",  # generated classes fill the default; a swept code cache is compiled again
    # glibc keeps what the compiler and zstd have freed: 58 MB within the first hour. The flag is younger than Java 21.
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:TrimNativeHeapInterval=60000",  # ms
    "-Xss4m",  # a regular expression over the long trace of a failed batch overflows the default
    "-Duser.timezone=UTC",
    *(f"-D{name}={value}" for name, value in AVRO_LIMITS.items()),
)

SESSION = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Spark would note for its error messages from which line each column expression comes: of 16,000 calls to the JVM
    # for a plan of the factors 9,000 were for that.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # Micro-batches are small: planning and scheduling cost more than the rows.
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    # A table is read by the list of its files; finding so many on local disks needs no job of its own.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    "spark.databricks.delta.snapshotPartitions": "1",  # the default of 50 tasks dominates every MERGE
    # All queries together use some hundreds of generated classes again and again (the default keeps 100).
    "spark.sql.codegen.cache.maxEntries": "1000",
    # One pool per query, so that a large first load does not starve the others.
    "spark.scheduler.mode": "FAIR",
    # Each broadcast of a small table to a join starts another thread, up to 128, though two cores never run eight.
    "spark.sql.broadcastExchange.maxThreadThreshold": "8",
    "spark.cleaner.periodicGC.interval": "5min",
    "spark.sql.streaming.numRecentProgressUpdates": "20",
    # Only the newest batch of a checkpoint is read again; by default 400 files of every query stay.
    "spark.sql.streaming.minBatchesToRetain": "10",
    # By default stopping a query may wait for its thread without limit.
    "spark.sql.streaming.stopTimeout": "60s",
    "spark.sql.parquet.compression.codec": "zstd",
    # After so many rows the writer checks how much memory it holds. The default is 100, up to 200 MB of the longest
    # rows.
    "spark.hadoop.parquet.page.size.row.check.min": "10",
    "spark.hadoop.parquet.block.size.row.check.min": "10",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Readers without a JVM refuse deletion vectors, and merges of this size gain nothing by them.
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    # A version that a statement forgot to unset raises instead of silently skipping the next one.
    "spark.databricks.delta.write.txnVersion.autoReset.enabled": "true",
}

LOCAL_FILES = {
    # Hadoop starts a `chmod` for each file that it makes, and one for its checksum: 9 ms of a core and 18 by the clock
    # together. This class asks Java to set the rights: 1 to 2 ms, and 3. Each batch makes two for its checkpoint.
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
}


LOGGING = Path(__file__).with_name("log4j2.properties")


def start(
    jars: list[Path],
    *,
    driver_memory: str,
    scratch: Path,
    short_lived: bool = False,
    jvm_options: Sequence[str] = (),
    master: str = "local[*]",
) -> SparkSession:
    """Start the JVM and the session, and prove that the Avro limits hold.

    JAVA_HOME must point to a JDK 21 or newer before the call.

    Args:
        jars: what Spark needs beside its own jars, on the class path from the start (quicker than `spark.jars`).
        driver_memory: heap, such as `2g`.
        scratch: a folder that shuffles spill to.
        short_lived: leave the optimizing compiler out: a quarter less CPU in the first minutes, slower after them.
        jvm_options: more of them, for the driver's JVM alone.
        master: where tasks run: `local[*]`, in this JVM; or `spark://host:port`, a standalone cluster.

    Raises:
        DependencyUnavailable: the cluster cannot be reached.
        UnsafeState: the limits are not in force, for example because a session was there before; or a cluster that
            other machines reach asks for no secret.
    """
    options = [*JVM_OPTIONS, f"-Dlog4j2.configurationFile={LOGGING}", *jvm_options]
    if short_lived:
        options.append("-XX:TieredStopAtLevel=1")
    builder = SparkSession.builder.appName("correnteza").master(master)
    elsewhere = {} if cluster.is_local(master) else cluster.of_executors(master, ":".join(map(str, jars)), JVM_OPTIONS)
    for name, value in (SESSION | LOCAL_FILES | elsewhere).items():
        builder = builder.config(name, value)
    builder = (
        builder.config("spark.driver.memory", driver_memory)
        .config("spark.driver.extraJavaOptions", " ".join(f'"{option}"' for option in options))
        .config("spark.driver.extraClassPath", ":".join(map(str, class_path_of(jars))))
        .config("spark.pyspark.python", sys.executable)
        .config("spark.local.dir", str(scratch))
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
    )
    try:
        spark = builder.getOrCreate()
    except Py4JJavaError as error:
        if not elsewhere:
            raise
        raise cluster.away(master) from error
    # py4j logs the trace of what our own function raises in a batch; the supervisor logs that.
    logging.getLogger("py4j.clientserver").setLevel(logging.CRITICAL)
    require_avro_limits(spark)
    if elsewhere:
        cluster.require_login(dict(spark.sparkContext.getConf().getAll()))
        cluster.require_properties(spark, AVRO_LIMITS)
    return spark


def require_avro_limits(spark: SparkSession) -> None:
    """Raises: UnsafeState unless the JVM refuses hostile lengths in Avro records."""
    system = spark._jvm.java.lang.System  # type: ignore[union-attr]  # always there in a classic session
    for name, value in AVRO_LIMITS.items():
        found = system.getProperty(name)
        if found != value:
            raise UnsafeState(
                f"the JVM runs without {name}={value} (found {found}): one hostile record would kill it",
                hint="start the driver with `correnteza run`, which passes the limits to the JVM",
            )
