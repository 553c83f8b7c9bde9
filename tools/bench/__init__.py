"""`python -m tools.bench`: how close each part is to the limit of the machine it runs on."""
