"""A run's processes and what may happen to them: ranks that talk, one that fails, signals, threads that wait."""
