"""From shards to predictions: loader, augmentation, models, the loop, checkpoints and metrics. Never decodes video."""
