"""Leaving a legacy system: look at its files, prove that what was published is what they hold, report, compare.

Reading and publishing the rows is the producers' work (`producers/legacy/`); nothing here writes to Kafka or Delta.
"""
