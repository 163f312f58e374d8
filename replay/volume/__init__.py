"""Full-size publications, generated: the real layouts and vocabularies, random values, the same for each seed.

with serve(instead=catalogue.resources({"mobile": 5_000_000}, folder, municipalities)) as replay: ...
"""
