"""What the `shards` command does: list, verify, split, reshard, inspect; `fetch` is `shards.remote.localize`."""
