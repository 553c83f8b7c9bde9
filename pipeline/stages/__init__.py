"""The stages: each file says what its result depends on and makes it."""
