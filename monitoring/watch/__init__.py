"""The monitor: a process that reads the pipeline's state from outside, and answers Prometheus and people from
memory."""
