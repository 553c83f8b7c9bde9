"""Self-contained HTML pages and the pictures on them, for `shards inspect` and the report of `evaluate`."""
