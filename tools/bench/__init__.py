"""`python -m tools.bench`: how close each part is to the limit of the machine it runs on.

- `timing`: contenders in turn with a limit; the tables.
- `data`: the clips and shards to measure with.
- `loader`, `stages`, `reshard`, `train`: a part each, a function `tables` that yields what it has measured.

The parts use the commands and the shard format as a user would, and of the source only the loader's own interface.
"""
