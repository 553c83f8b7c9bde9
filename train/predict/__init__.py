"""The `predict` command: from checkpoints and shards, or videos, to predictions."""
