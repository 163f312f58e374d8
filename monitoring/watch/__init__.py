"""The process that looks at the pipeline from outside, and answers Prometheus and people from memory."""
