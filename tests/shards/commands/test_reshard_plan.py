from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.data.shard_making import rewrite_index

from shards.commands.reshard_plan import assign, make_plan, read_sources, select
from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.format.index import read_index
from shards.remote.cache import CacheSettings

NO_CACHE = CacheSettings(Path("unused"))  # the sets are local


def test_sources_lie_where_the_tars_have_them(tiny_work: Path) -> None:
    dataset, sources = read_sources([str(tiny_work / "shards")], NO_CACHE)
    assert (dataset.classes, dataset.splits) == (["0", "1", "2"], {})
    position: dict[Path, int] = {}
    for source in sources:  # in index order, so side by side
        assert source.extent.start == position.get(source.extent.path, 0)
        position[source.extent.path] = source.extent.start + source.extent.size
        data = source.extent.path.read_bytes()[source.extent.start :]
        assert data.startswith(f"{source.id}.json\0".encode())
        assert source.extent.path.name.startswith(source.split)
    assert len(position) == 3


def test_id_in_two_places_names_both(shards: Path, tiny_work: Path) -> None:
    with pytest.raises(InputError) as error:
        read_sources([str(shards), str(tiny_work / "shards")], NO_CACHE)
    assert f"{shards}/train-000.tar" in error.value.message
    assert f"{tiny_work}/shards/train-000.tar" in error.value.message


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (lambda dataset: {"settings": dataset.settings | {"quality": 90}}, "settings"),
        (lambda dataset: {"classes": ["0", "1", "two"]}, "classes"),
    ],
)
def test_unlike_sets_cannot_be_merged(shards: Path, tiny_work: Path, changed: Callable, part: str) -> None:
    dataset = read_dataset(shards)
    replace(dataset, **changed(dataset)).write(shards)
    with pytest.raises(InputError, match=f"its {part} differ from those of") as error:
        read_sources([str(tiny_work / "shards"), str(shards)], NO_CACHE)
    # What differs is named, and the way out.
    named = {
        "settings": ("quality is 90, there 95", "--allow-unlike"),
        "classes": ("class 2 is 'two', there '2'", "--merge"),
    }
    assert all(text in error.value.message for text in named[part])


def test_unlike_recipes_cannot_be_merged(tiny_work: Path, tiny_reference_work: Path) -> None:
    with pytest.raises(InputError, match="its recipe differ"):
        read_sources([str(tiny_work / "shards"), str(tiny_reference_work / "shards")], NO_CACHE)


def test_index_whose_members_are_apart(shards: Path) -> None:
    rows = read_index(shards / "val.parquet").to_pylist()
    rows[0]["flow_offset"] += 512
    rewrite_index(shards, "val", rows)
    with pytest.raises(InputError, match="not side by side in the index"):
        read_sources([str(shards)], NO_CACHE)


def test_selection(tiny_work: Path) -> None:
    _, sources = read_sources([str(tiny_work / "shards")], NO_CACHE)
    assert select(sources, None, None) == sources
    assert {source.label for source in select(sources, {0, 2}, None)} == {0, 2}
    assert {source.signer for source in select(sources, None, {"2"})} == {"2"}
    assignment = {"signer0_sample0": (0, "dev"), "absent": (None, "dev")}
    (one,) = assign(sources, assignment, Path("a.csv"))
    assert one == replace(sources[[source.id for source in sources].index("signer0_sample0")], split="dev")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({7}, None), "--only-classes: no sample has 7"),
        ((None, {"0", "9"}), "--signers: no sample has 9"),
        (({0}, {"2"}), "no sample is left"),
    ],
)
def test_selection_of_nothing(tiny_work: Path, arguments, message: str) -> None:
    _, sources = read_sources([str(tiny_work / "shards")], NO_CACHE)
    with pytest.raises(InputError, match=message):
        select(sources, *arguments)
    with pytest.raises(InputError, match="no sample is left"):
        assign(sources, {"absent": (None, "train")}, Path("a.csv"))


def test_fingerprint_covers_what_the_bytes_depend_on(tiny_work: Path) -> None:
    dataset, sources = read_sources([str(tiny_work / "shards")], NO_CACHE)
    plan = make_plan(dataset, sources, 2, [])
    others = [
        make_plan(dataset, sources, 3, []),
        make_plan(dataset, sources, 2, ["depth"]),
        make_plan(dataset, sources[1:], 2, []),
        make_plan(replace(dataset, classes=["a", "b", "c"]), sources, 2, []),
        make_plan(replace(dataset, settings={}), sources, 2, []),
        make_plan(dataset, [replace(sources[0], shard_sha256="0"), *sources[1:]], 2, []),
    ]
    assert plan.fingerprint() == make_plan(dataset, sources[::-1], 2, []).fingerprint()
    assert len({plan.fingerprint(), *(other.fingerprint() for other in others)}) == 7
