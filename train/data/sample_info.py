"""A sample's JSON, and the error for a sample that is damaged."""

from shards.errors import InputError
from shards.format.sample import MEMBERS, SampleInfo, info_from_json
from shards.format.shardset import MemberReader, ShardSet

_JSON = MEMBERS.index("json")


def read_info(shards: ShardSet, reader: MemberReader, sample: int) -> SampleInfo:
    """The JSON of a sample, all of it, for who needs more than a window.

    Raises:
        InputError: it is not that of a sample.
    """
    try:
        return info_from_json(reader.read(sample, _JSON))
    except (ValueError, KeyError) as error:
        raise damaged(shards, sample, error) from error


def damaged(shards: ShardSet, sample: int, error: Exception) -> InputError:
    """The error for a sample whose bytes are wrong."""
    path = shards.paths[shards.shard[sample]]
    return InputError(f"{path}: sample {shards.ids[sample]} is damaged ({error}); `shards verify --full {path.parent}`")
