"""A rig of unmodified processes under steady load, that a seeded program kills: see `crash_test`."""
