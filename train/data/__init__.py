"""From shards to batches on the training device. Imports nothing else of `train`.

`order` says which samples when; `window`, `views`, `imputation` and `pose_features` what a sample shows. `clip` reads
one sample, `crop_batch` a batch of them, which `pixels` resamples on the device. `dataset`, `loader`, `shared_memory`
and `batch_group` are the workers' side and the way to the trainer, for any kind of `batch`; `feeding` the trainer's.
"""
