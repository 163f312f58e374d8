"""The contracts: one `.avsc` per topic, all that producers and stream jobs share."""
