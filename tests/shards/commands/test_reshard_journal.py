from dataclasses import replace
from pathlib import Path

import pytest

from shards.commands.reshard_journal import Journal
from shards.errors import InputError
from shards.format.dataset import Shard

_FIRST = Shard("train-000.tar", 3, 10240, "ab")
_SECOND = Shard("train-001.tar", 1, 20480, "cd")


def test_remembers_what_was_added(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "plan")
    assert journal.before == {}
    journal.add(_FIRST)
    journal.add(_SECOND)
    again = Journal(tmp_path, "plan")
    assert again.before == {"train-000.tar": _FIRST, "train-001.tar": _SECOND}
    again.add(_FIRST)  # nothing new
    newer = replace(_SECOND, sha256="ef")
    again.add(newer)
    assert Journal(tmp_path, "plan").before == {"train-000.tar": _FIRST, "train-001.tar": newer}


def test_every_cut_of_the_journal_can_be_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "plan")
    journal.add(_FIRST)
    journal.add(_SECOND)
    path = tmp_path / ".reshard.jsonl"
    data = path.read_bytes()
    for end in range(data.index(b"\n") + 1, len(data) + 1):
        path.write_bytes(data[:end])
        assert list(Journal(tmp_path, "plan").before.values()) in ([], [_FIRST], [_FIRST, _SECOND])
    assert len(Journal(tmp_path, "plan").before) == 2


@pytest.mark.parametrize(
    "first", [b"", b"{", b'{"plan": "plan"', b'{"plan": "plam"}', b"[]", b'{"plan": "plan", "x": 1}']
)
def test_a_first_line_that_is_damaged_is_another_plan(tmp_path: Path, first: bytes) -> None:
    Journal(tmp_path, "plan").add(_FIRST)
    path = tmp_path / ".reshard.jsonl"
    path.write_bytes(first + b"\n" + path.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(InputError, match="other options or sources"):
        Journal(tmp_path, "plan")


@pytest.mark.parametrize("line", [b"3", b"{}", b'{"shard": {}}', b'{"shard": 1, "json_sizes": []}', b"\xff"])
def test_a_line_that_is_damaged_is_passed_over(tmp_path: Path, line: bytes) -> None:
    Journal(tmp_path, "plan").add(_FIRST)
    with (tmp_path / ".reshard.jsonl").open("ab") as file:
        file.write(line + b"\n")
    assert list(Journal(tmp_path, "plan").before.values()) == [_FIRST]


def test_other_plan(tmp_path: Path) -> None:
    Journal(tmp_path, "plan")
    with pytest.raises(InputError, match="other options or sources"):
        Journal(tmp_path, "another")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, there: bool) -> None:
    folder, other = tmp_path / "out", tmp_path / "other"
    folder.mkdir()
    if there:
        other.write_text('{"plan": "plan"}\n')
    (folder / ".reshard.jsonl").symlink_to(other)
    with pytest.raises(InputError, match=r"is a link|holds"):
        Journal(folder, "plan")
    assert other.exists() == there
