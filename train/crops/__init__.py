"""The crop stream: what the models VTN_HCPF and VTN_HCPF_D see of a sample. Imports `train.data`.

`crop_sample` reads a sample's JPEGs and pose flow, `crop_batch` a batch of them, which `pixels` resamples on the
device. `crop_views`, `imputation` and `pose_features` say what is shown, as pure functions.
"""
