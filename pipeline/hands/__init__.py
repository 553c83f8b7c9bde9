"""Hands: their boxes in a frame, how a crop is cut, and the cutter that goes through the frames of a clip."""
