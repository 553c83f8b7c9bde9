"""Hands: their boxes in a frame, and the crops that are cut."""
