"""The sample and shard format on disk: recipes, samples, tars, indexes, `dataset.json`, and readers by offset."""
