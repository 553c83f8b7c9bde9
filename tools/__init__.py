"""Things run from a checkout: benchmarks, importing reference checkpoints, stand-ins for tests."""
