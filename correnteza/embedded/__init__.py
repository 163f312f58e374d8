"""The embedded stack: pinned jars, a Java runtime, a Kafka broker and a schema registry as child processes."""
