"""The `predict` command, and `Recognizer`: from checkpoints and shards, or videos, to predictions.

`predict` does what `cli` was asked for: it opens shards (or makes some from videos, by `pipeline.from_videos`), shows
their samples to a `recognizer` (the `checkpoint_model`s of one or several checkpoints) once, under several views
(`view_average`) or with a `sliding` window, and writes `prediction_files`.
"""
