"""Keypoints: estimators that run, files and archives that others made, and pose flow, which is computed from them."""
