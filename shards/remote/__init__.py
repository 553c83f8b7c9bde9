"""Shards that lie elsewhere: URLs, transfers by webdataset's `gopen`, and a cache that many processes share.

Nothing here knows what is in a shard: what is fetched is checked, then read as a local shard folder.
"""
