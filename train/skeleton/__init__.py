"""The skeleton stream, the model POSE: keypoints in, logits out. Imports `train.data`.

`nodes` prepares a clip's keypoints with NumPy, `pose_views` draws the augmentation, `pose_batch` reads and augments,
`features` and `model` are the network, `pixel_input` is the preparation as a part of an exported graph.
"""
