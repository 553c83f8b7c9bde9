"""Generated clips for `pipeline demo`: drawn figures that sign a made-up vocabulary, in the form of the AUTSL data set.

Nothing here is a recording of a person and no sign belongs to a real language: scores on these clips show that every
stage works from end to end, not how well anything recognizes sign language.

- `signs`: the vocabulary; a sign is a motion of the wrists and a hand shape.
- `signer`: a signer's body and appearance.
- `figure`: the BODY_135 skeleton of a motion.
- `scene`: the picture and the depth map of one frame.
- `generate`: which signer signs what in which split; videos, keypoints as an estimator would see them, labels.
- `demo`: the commands of the demo, one after another.
"""
