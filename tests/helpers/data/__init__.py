"""Clips, crops, keypoints and shards, made for tests."""
