"""What every package may import and what imports none of them: errors, log, clock, failure points, hashes."""
