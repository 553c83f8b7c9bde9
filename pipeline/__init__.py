"""From clips to shards, on CPUs: the stages, the estimators, the runner and the workspace. Never imports torch."""
