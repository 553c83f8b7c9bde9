"""Which part holds which clip."""

import pytest

from pipeline.workspace.part import Part, parse_part
from shards.errors import InputError


def test_every_clip_is_in_exactly_one_part_of_about_the_same_size() -> None:
    ids = [f"signer{n % 43}_sample{n}" for n in range(4000)]
    parts = [[key for key in ids if Part(number, 8).holds(key)] for number in range(1, 9)]
    assert sorted(key for part in parts for key in part) == sorted(ids)
    assert all(420 <= len(part) <= 580 for part in parts)  # 500 ± 4 standard deviations


def test_a_clip_stays_in_its_part() -> None:
    # Written down: a part of an array that is started again, by a later version, must hold the same clips.
    ids = ("signer0_sample1", "signer0_sample2", "ä b")
    assert [[part for part in range(1, 9) if Part(part, 8).holds(key)] for key in ids] == [[3], [7], [5]]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "1/4/2", "-1/4", "1.0/4", "", "١/٤"])
def test_what_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give I/N with I from 1 to N"):
        parse_part(text)


def test_names() -> None:
    assert parse_part("3/8") == Part(3, 8)
    assert Part(3, 8).name == "part-3-of-8"
