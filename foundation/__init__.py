"""Every package may import this one, and it imports none of them: errors, log, clock, failure points, hashes."""
