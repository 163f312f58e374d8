"""The contracts: one `.avsc` per topic. Producers and stream jobs share nothing else."""
