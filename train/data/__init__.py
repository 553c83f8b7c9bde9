"""From shards to batches on the training device, for any kind of model. Imports nothing else of `train`.

`order` says which samples when, `window` which frames, `views` what is drawn for a sample. `shard_dataset`, `loader`,
`shared_memory` and `batch_group` are the workers' side and the way to the trainer, for any kind of `batch`; `feeding`
the trainer's.
"""
