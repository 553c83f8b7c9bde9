"""The `predict` command: from a checkpoint and shards, or videos, to predictions.

`predict` does what `cli` was asked for: it opens shards (or makes some from videos, by `pipeline.from_videos`), shows
their samples to a `recognizer` under one or several `views` or with a `sliding` window, and writes `tables`.
"""
