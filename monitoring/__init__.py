"""Lag and verification, with readers of its own: Delta and Kafka without a JVM, and none of the pipeline's code."""
