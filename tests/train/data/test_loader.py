import gc
import resource
import subprocess
import sys
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
import torch
from helpers.data.shard_making import Plan, make_shards
from helpers.processes.pipeline_runs import ROOT

from shards.errors import InputError
from shards.format.recipe import DEFAULT, RECIPES, REFERENCE
from shards.format.sample import MEMBERS
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropBatch, CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.shared_memory import SharedBuffers
from train.data.window import Window

SETTINGS = LoaderSettings(Window(4, 2), DEFAULT, batch_size=2, num_workers=0, seed=5)


def run_epoch(shards, training=True, epoch=0, position=0, **changes) -> list[CropBatch]:
    loader = make_loader(shards, replace(SETTINGS, **changes), CropReader, training)
    loader.dataset.epoch, loader.dataset.position = epoch, position
    batches = list(loader)
    assert len(batches) == len(loader.dataset)
    assert all(isinstance(batch, CropBatch) for batch in batches)
    return batches


def tensors(batch: CropBatch) -> list[torch.Tensor]:
    parts = [batch.pose, batch.labels, batch.mirrored, batch.light]
    for pixels in filter(None, (batch.color, batch.depth)):
        parts += [pixels.values, pixels.start, pixels.size, pixels.box]
    return parts


def assert_same(one: list[CropBatch], other: list[CropBatch]) -> None:
    assert [batch.ids for batch in one] == [batch.ids for batch in other]
    for a, b in zip(one, other, strict=True):
        assert a.total == b.total
        assert all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


def by_sample(batches: list[CropBatch]) -> dict[str, list]:
    """What the model gets of each sample: its label, pose, light, and every place's pixels and box."""
    found = {}
    for batch in batches:
        places = len(batch.color.start) // len(batch.ids)
        for number, sample_id in enumerate(batch.ids):
            assert sample_id not in found
            rest = [values[number].tolist() for values in (batch.labels, batch.pose, batch.light, batch.mirrored)]
            for place in range(number * places, (number + 1) * places):
                start, (width, height) = int(batch.color.start[place]), batch.color.size[place].tolist()
                rest.append(batch.color.values[start : start + width * height].numpy().tobytes())
                rest.append(batch.color.box[place].tolist())
            found[sample_id] = rest
    return found


@pytest.fixture(scope="module")
def shards(small):
    return open_shards(f"{small}/train-*.tar")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 3, 20])
def test_workers_change_nothing(shards, training, workers):
    assert_same(run_epoch(shards, training, epoch=3), run_epoch(shards, training, epoch=3, num_workers=workers))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_workers_change_nothing_with_depth(made, recipe):
    shards = open_shards(str(made(splits={"train": 5}, depth=True, recipe=recipe)))
    one, other = (run_epoch(shards, recipe=recipe, with_depth=True, num_workers=workers) for workers in (0, 2))
    assert_same(one, other)
    assert one[0].depth.values.shape[1] == (3 if recipe is REFERENCE else 1)


def test_a_trainer_that_holds_no_batch_gets_the_same_from_used_buffers(made, monkeypatch):
    monkeypatch.setattr("train.data.loader._GROUP_SAMPLES", 2)
    shards = open_shards(str(made(splits={"train": 12}, depth=True)))
    loader = make_loader(
        shards, replace(SETTINGS, with_depth=True, batch_size=1, num_workers=1), CropReader, training=True
    )
    expected = run_epoch(shards, with_depth=True, batch_size=1)
    places = set()
    for batch, right in zip(loader, expected, strict=True):
        assert_same([batch], [right])
        places.add(batch.color.values.data_ptr())
    assert len(expected) > len(places)


@pytest.fixture
def made_buffers(monkeypatch) -> list[SharedBuffers]:
    """The buffers that loaders make."""
    made = []
    monkeypatch.setattr(
        "train.data.loader.SharedBuffers", lambda *sizes: made.append(SharedBuffers(*sizes)) or made[-1]
    )
    return made


def test_epochs_share_buffers_and_leave_alone_what_the_trainer_holds(shards, made_buffers):
    loader = make_loader(shards, replace(SETTINGS, num_workers=2), CropReader, training=True)
    held = []
    for epoch in range(3):
        loader.dataset.epoch = epoch
        held += list(loader)[-1:]
    assert len(made_buffers) == 1
    assert_same(held, [run_epoch(shards, epoch=epoch)[-1] for epoch in range(3)])


def test_buffers_of_an_epoch_that_was_left_are_not_written_on_again(shards, made_buffers):
    loader = make_loader(shards, replace(SETTINGS, num_workers=1, batch_size=1), CropReader, training=True)
    batches = iter(loader)
    first = next(batches)
    # What a worker does that hangs in the file system: it has taken a buffer, and will write on it whenever it can.
    made_buffers[0].take(0)
    del batches
    assert_same([first, *loader], run_epoch(shards, batch_size=1)[:1] + run_epoch(shards, batch_size=1))
    assert len(made_buffers) == 2


def test_two_epochs_at_once_have_buffers_of_their_own(shards, made_buffers):
    loader = make_loader(shards, replace(SETTINGS, num_workers=1), CropReader, training=True)
    pairs = list(zip(loader, loader, strict=True))
    assert len(made_buffers) == 2
    for one in zip(*pairs, strict=True):
        assert_same(list(one), run_epoch(shards))


@pytest.mark.parametrize("together", [1, 4, 6, 100])
def test_how_many_batches_are_read_together_changes_nothing(shards, monkeypatch, together):
    monkeypatch.setattr("train.data.loader._GROUP_SAMPLES", together)
    for ranks in (1, 2):
        changes = {"rank": ranks - 1, "ranks": ranks, "epoch": 2, "position": 2 * ranks}
        assert_same(run_epoch(shards, **changes, num_workers=2), run_epoch(shards, **changes))


def test_crops_too_large_for_buffers_change_nothing(made, monkeypatch):
    monkeypatch.setattr("train.crops.crop_batch._CROP_BYTES", 1)
    shards = open_shards(str(made(splits={"train": 12}, depth=True)))
    assert_same(run_epoch(shards, with_depth=True, num_workers=2), run_epoch(shards, with_depth=True))


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_ranks_share_the_same_samples_with_the_same_augmentation(shards, ranks):
    lists = [run_epoch(shards, rank=rank, ranks=ranks, num_workers=1) for rank in range(ranks)]
    assert len({len(batches) for batches in lists}) == 1  # equal steps
    together = by_sample([batch for batches in lists for batch in batches])
    alone = by_sample(run_epoch(shards))
    assert len(shards) - len(together) < ranks
    assert all(alone[sample_id] == value for sample_id, value in together.items())
    for step in zip(*lists, strict=True):
        assert {batch.total for batch in step} == {sum(len(batch.ids) for batch in step)}


def test_the_order_is_that_of_one_rank_with_larger_batches(shards):
    lists = [run_epoch(shards, rank=rank, ranks=2) for rank in range(2)]
    large = run_epoch(shards, batch_size=4)
    for batch, *parts in zip(large, *lists, strict=False):
        assert batch.ids == [sample_id for part in parts for sample_id in part.ids]


@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 20])
def test_evaluation_sees_each_sample_once_unaugmented(shards, ranks):
    lists = [run_epoch(shards, training=False, rank=rank, ranks=ranks) for rank in range(ranks)]
    found = by_sample([batch for batches in lists for batch in batches])
    assert sorted(found) == sorted(shards.ids.to_pylist())
    assert found == by_sample(run_epoch(shards, training=False, batch_size=3))
    assert all((batch.light == 1).all() and not batch.mirrored.any() for batches in lists for batch in batches)


def test_an_epoch_goes_on_from_a_position(shards):
    whole = run_epoch(shards, epoch=1)
    assert_same(run_epoch(shards, epoch=1, position=6, num_workers=2), whole[3:])
    assert run_epoch(shards, epoch=1, position=13) == []


def test_epochs_and_seeds_differ(shards):
    runs = [run_epoch(shards, epoch=epoch, seed=seed) for epoch, seed in ((0, 5), (1, 5), (0, 6))]
    orders = [[sample_id for batch in batches for sample_id in batch.ids] for batches in runs]
    assert len({tuple(order) for order in orders}) == 3
    assert len({tuple(sorted(order)) for order in orders}) == 1
    lights = [by_sample(batches)[orders[0][0]][2] for batches in runs]
    assert len(set(map(tuple, lights))) == 3


def test_labels_are_those_of_the_index(shards):
    known = dict(zip(shards.ids.to_pylist(), shards.labels.tolist(), strict=True))
    for batch in run_epoch(shards):
        assert batch.labels.tolist() == [known[sample_id] for sample_id in batch.ids]


def test_no_labels_are_minus_one(made):
    shards = open_shards(str(made(splits={"test": 2}, labelled=False)))
    assert run_epoch(shards, training=False)[0].labels.tolist() == [-1, -1]


def test_several_sets_and_splits_in_one_run(made, small):
    other = made(splits={"more": 4}, seed=3)
    shards = open_shards(f"{{{small}/train-000.tar,{other}/more-001.tar}}")
    found = run_epoch(shards, training=False)
    assert [i for batch in found for i in batch.ids] == [f"train_sample{n}" for n in range(3)] + ["more_sample3"]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_damaged_sample_is_one_line_from_any_process(tmp_path, workers):
    shards = open_shards(str(make_shards(tmp_path / "s", Plan({"train": 7}))))
    place = int(shards.offsets[4, 1])  # left.mjpg
    with shards.paths[shards.shard[4]].open("r+b") as file:
        file.seek(place)
        file.write(bytes(int(shards.sizes[4, 1])))
    loader = make_loader(shards, replace(SETTINGS, num_workers=workers), CropReader, training=False)
    seen, others = [], set(active_children())
    with pytest.raises(InputError) as error:
        for batch in loader:
            seen += batch.ids
    assert seen == [f"train_sample{number}" for number in range(4)]
    assert f"sample {shards.ids[4]} is damaged" in error.value.message
    assert "\n" not in error.value.message
    # Also while somebody keeps the error, whose traceback keeps what raised it.
    assert set(active_children()) <= others


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (0, -(10**9), "left.mjpg has no bytes -"),
        (0, 2**63, "left.mjpg has no bytes 9223372036854775808 to"),
        (1, 10**15, "left.mjpg has no bytes "),
        (2, 2**63, "a crop is larger than the video"),
        (2, 10**9, "a crop is larger than the video"),
        (3, -(10**6), "a crop is larger than the video, or empty"),
        (3, "9", "not supported between"),
    ],
)
def test_wrong_numbers_in_a_json_are_one_line_about_that_sample(small, monkeypatch, workers, column, value, reason):
    def loads(data: bytes):
        info = orjson.loads(data)
        if info["id"] == "train_sample5":
            for row in info["hands"]["left"]["jpegs"]:
                row[column] = value
        return info

    monkeypatch.setattr("train.crops.crop_sample.orjson", SimpleNamespace(loads=loads))
    loader, ids = (
        make_loader(open_shards(str(small)), replace(SETTINGS, num_workers=workers), CropReader, training=False),
        [],
    )
    with pytest.raises(InputError) as error:
        for batch in loader:
            ids += batch.ids
    assert ids == [f"train_sample{number}" for number in range(4)]
    assert "sample train_sample5 is damaged (" in error.value.message and reason in error.value.message


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_vanish_are_one_line(tmp_path, workers):
    shards = open_shards(str(make_shards(tmp_path / "s", Plan({"train": 3}))))
    shards.paths[0].unlink()
    with pytest.raises(InputError, match="cannot be read any more"):
        list(make_loader(shards, replace(SETTINGS, num_workers=workers), CropReader, True))


def test_depth_is_asked_of_shards_without(shards):
    with pytest.raises(InputError, match="sample train_sample0 has no depth; use VTN_HCPF, or make shards with depth"):
        make_loader(shards, replace(SETTINGS, with_depth=True), CropReader, training=True)


def test_samples_without_crops_are_named(shards):
    offsets = shards.offsets.copy()
    offsets[3, MEMBERS.index("left.mjpg")] = -1
    with pytest.raises(InputError, match=r"samples are without video, e\.g\. train_sample3"):
        make_loader(replace(shards, offsets=offsets), SETTINGS, CropReader, training=True)


def test_only_the_frames_asked_for_are_decoded(shards, monkeypatch):
    import train.crops.crop_batch

    sizes = []
    real = train.crops.crop_batch.decode_into
    monkeypatch.setattr(
        train.crops.crop_batch, "decode_into", lambda jpeg, *rest: (sizes.append(len(jpeg)), real(jpeg, *rest))
    )
    batches = run_epoch(shards, training=False)
    asked = sum(len(set(batch.color.start.tolist())) for batch in batches)
    assert len(sizes) == asked <= 13 * 2 * 4


def memory_after(shards, epochs: int) -> int:
    """Bytes of this process."""
    for epoch in range(epochs):
        run_epoch(shards, epoch=epoch)
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_process_that_exits_in_the_middle_of_an_epoch_ends(small):
    code = f"""
from train.crops.crop_batch import CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from shards.format.shardset import open_shards
shards = open_shards({str(small)!r})
settings = LoaderSettings({SETTINGS.window!r}, shards.dataset.recipe, num_workers=1)
batches = iter(make_loader(shards, settings, CropReader, True))
next(batches)
"""
    code = "from train.data.window import Window" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_memory_and_open_files_do_not_grow_with_epochs(shards):
    memory_after(shards, 10)
    before, files = memory_after(shards, 1), open_files()
    after = memory_after(shards, 25)
    # 24 more epochs are 312 samples of some 60 kB of pixels: 19 MB if they were kept.
    assert after - before < 8 * 2**20
    assert open_files() == files
    workers = [run_epoch(shards, epoch=epoch, num_workers=2) for epoch in range(3)]
    assert len(workers) == 3
    del workers
    gc.collect()
    assert open_files() <= files + 4
