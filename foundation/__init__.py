"""What every other package may import and what itself imports none of them: errors, log, failure points, hashes."""
