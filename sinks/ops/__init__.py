"""Tables about the pipeline itself."""
