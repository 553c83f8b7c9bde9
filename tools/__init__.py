"""Run from a checkout: benchmarks, checks on a GPU, a stand-in for OpenPose."""
