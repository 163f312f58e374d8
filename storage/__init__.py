"""Where the lake and the payload archive stand: a local folder or an S3-compatible object store."""
