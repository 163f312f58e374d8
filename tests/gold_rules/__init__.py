"""The required content of each gold table, written again from docs/data-dictionary.md in plain Python over silver's
rows.

Nothing here is shared with the pipeline or with `verify`; only the reference *files* (CSV) are the same. Every rule
computes its whole table at once: no widening, no groups, no batches. `tests/gold_oracles.py` asks them.
"""
