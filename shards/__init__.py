"""The sample and shard format: write, index, read, verify, reshard, inspect. Knows nothing of video, estimators or
torch."""
