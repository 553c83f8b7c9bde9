from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.data.shard_making import Plan, make_sample
from helpers.models.tiny_model import WINDOW, tiny_checkpoint

from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.dataset import Dataset
from shards.format.index import scan_shard, write_index
from shards.format.recipe import DEFAULT, REFERENCE
from shards.format.sample import HandTrack, array_from_npy, npy_bytes
from shards.format.shardset import open_shards
from shards.format.tar import pack
from shards.format.writer import Extent, write_shard
from train.crops.crop_batch import CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.views import View
from train.data.window import window_frames
from train.models.streams import predict_batches
from train.predict.checkpoint_model import CheckpointModel, ComputeSettings
from train.predict.sliding import plan_windows, window_starts
from train.predict.view_average import ViewSettings, mean_of_views

CLASSES = ["class 0", "class 1", "class 2"]
ONCE = ViewSettings()
CPU = torch.device("cpu")


def softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("model") / "best.pt", CLASSES, window=WINDOW)


def predict(checkpoint, shards: Path, settings: ViewSettings = ONCE):
    recognizer, found = (
        CheckpointModel(checkpoint, Path("best.pt"), ComputeSettings(3, 0, "cpu")),
        open_shards(str(shards)),
    )
    windows = plan_windows(found, checkpoint.span, settings.sliding) if settings.sliding else None
    return recognizer.predict(found, settings, windows)


def viewed(checkpoint, shards: Path, views: list[View], workers: int = 0) -> np.ndarray:
    """Logits of every sample under one view each, by the trainer's own loader."""
    settings = LoaderSettings(checkpoint.window, checkpoint.recipe, batch_size=3, num_workers=workers)
    loader = make_loader(open_shards(str(shards)), settings, CropReader, training=False)
    loader.dataset.views = views
    parts = predict_batches(checkpoint.build(), loader, CPU, checkpoint.image_size)
    return np.concatenate([logits for _, logits, _ in parts])


def test_the_default_is_plain_evaluation_bit_for_bit(checkpoint, small):
    settings = LoaderSettings(checkpoint.window, checkpoint.recipe, batch_size=3, num_workers=0)
    loader = make_loader(open_shards(str(small)), settings, CropReader, training=False)
    plain = list(predict_batches(checkpoint.build(), loader, CPU, checkpoint.image_size))
    found = predict(checkpoint, small)
    assert found.ids == [sample_id for ids, _, _ in plain for sample_id in ids]
    assert found.times is None
    assert found.logits.tobytes() == np.concatenate([logits for _, logits, _ in plain]).tobytes()


@pytest.mark.parametrize("frames", (7, 8, 30, 61))
@pytest.mark.parametrize("count", (1, 2, 3, 5))
def test_windows_are_spread_over_the_free_places(frames, count):
    starts = [
        int(window_frames(frames, WINDOW, DEFAULT, view.start)[0]) for view in ViewSettings(windows=count).views(False)
    ]
    free = frames - 7
    assert starts == sorted(starts)
    # No start position of the clip is further from a window than half a part, and the parts are equal.
    gaps = np.diff([-0.5 - starts[0], *starts, free + 0.5 + (free - starts[-1])])
    assert gaps.max() <= (free + 1) / count + 1
    if count % 2:
        assert starts[count // 2] == window_frames(frames, WINDOW, DEFAULT)[0]
    if free >= count:
        assert len(set(starts)) == count


def test_several_windows_are_the_mean_of_their_probabilities(checkpoint, small):
    count = len(open_shards(str(small)))
    each = [viewed(checkpoint, small, [view] * count) for view in ViewSettings(windows=3).views(False)]
    assert np.abs(each[0] - each[2]).max() > 1e-3  # they see something else
    found = predict(checkpoint, small, ViewSettings(windows=3))
    assert np.allclose(softmax(found.logits), np.mean([softmax(logits) for logits in each], axis=0), atol=1e-6)


def mirrored_by_hand(crops: torch.Tensor, pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a mirror does to the model's input: right hand in the left one's place, pixels and motion reversed."""
    # The 53 points in the order of the features: 0-10, 17, 18, 20 of the left hand, 20 of the right.
    order = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 11, 12, *range(33, 53), *range(13, 33)]
    angle, magnitude = pose.reshape(*pose.shape[:2], 53, 2)[:, :, order].unbind(-1)
    x, y = -magnitude * torch.cos(angle * torch.pi), magnitude * torch.sin(angle * torch.pi)
    angle = torch.where(magnitude > 0, torch.atan2(y, x) / torch.pi, angle)
    return crops.flip(2).flip(-1), torch.stack([angle, magnitude], dim=-1).flatten(2)


def test_a_mirrored_view_swaps_hands_and_motion(checkpoint, small):
    settings = LoaderSettings(checkpoint.window, checkpoint.recipe, batch_size=3, num_workers=0)
    model, expected = checkpoint.build(), []
    with torch.inference_mode():
        for batch in make_loader(open_shards(str(small)), settings, CropReader, training=False):
            crops, pose = batch.inputs(checkpoint.image_size, training=False)
            expected.append((model(crops, pose), model(*mirrored_by_hand(crops, pose))))
    plain, mirrored = (torch.cat(parts).numpy() for parts in zip(*expected, strict=True))
    assert np.abs(plain - mirrored).max() > 1e-3
    found = predict(checkpoint, small, ViewSettings(mirror=True))
    assert np.allclose(softmax(found.logits), (softmax(plain) + softmax(mirrored)) / 2, atol=1e-5)


def test_windows_and_mirror_go_together(checkpoint, small):
    count = len(open_shards(str(small)))
    views = ViewSettings(windows=2).views(False)
    each = [viewed(checkpoint, small, [view] * count) for view in views]
    each += [viewed(checkpoint, small, [replace(view, mirrored=True)] * count) for view in views]
    found = predict(checkpoint, small, ViewSettings(windows=2, mirror=True))
    assert np.allclose(softmax(found.logits), np.mean([softmax(logits) for logits in each], axis=0), atol=1e-6)


def test_depth_is_mirrored_too(tmp_path, made):
    checkpoint = tiny_checkpoint(tmp_path / "best.pt", CLASSES, name="VTN_HCPF_D", window=WINDOW)
    shards = made(splits={"val": 4}, depth=True)
    settings = LoaderSettings(checkpoint.window, checkpoint.recipe, with_depth=True, batch_size=4, num_workers=0)
    model = checkpoint.build()
    with torch.inference_mode():
        (batch,) = make_loader(open_shards(str(shards)), settings, CropReader, training=False)
        crops, pose, depth = batch.inputs(checkpoint.image_size, training=False)
        plain = model(crops, pose, depth).numpy()
        turned = model(*mirrored_by_hand(crops, pose), mirrored_by_hand(depth, pose)[0]).numpy()
    found = predict(checkpoint, shards, ViewSettings(mirror=True))
    assert np.allclose(softmax(found.logits), (softmax(plain) + softmax(turned)) / 2, atol=1e-5)


def test_the_mean_of_views():
    logits = np.array([[[1000.0, 0, 0], [0, 1000, -1000]], [[1, 2, 3], [3, 2, 1]]], np.float32)
    found = mean_of_views(logits)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.allclose(
        softmax(found), [[0.5, 0.5, 0], softmax(np.array([1.0, 2, 3])) / 2 + softmax(np.array([3.0, 2, 1])) / 2]
    )
    assert mean_of_views(logits[:, :1]).tobytes() == logits[:, 0].tobytes()


def test_repeated_places(small):
    shards = open_shards(str(small))
    some = shards.take(np.array([4, 4, 1]))
    assert some.ids.to_pylist() == [shards.ids[number].as_py() for number in (4, 4, 1)]
    assert (some.offsets == shards.offsets[[4, 4, 1]]).all()
    assert some.labels.tolist() == shards.labels[[4, 4, 1]].tolist()


@pytest.mark.parametrize(
    ("settings", "quirk"),
    (
        (ViewSettings(windows=2), "off_centre_window"),
        (ViewSettings(sliding=3), "off_centre_window"),
        (ViewSettings(mirror=True), "flip_pixels_only"),
    ),
)
def test_a_recipe_without_such_views_refuses_them(settings, quirk, tmp_path, made):
    reference = tiny_checkpoint(tmp_path / "best.pt", CLASSES, REFERENCE)
    with pytest.raises(InputError, match=quirk):
        predict(reference, made(splits={"val": 2}, recipe=REFERENCE), settings)
    settings.check(DEFAULT)


@pytest.mark.parametrize("frames", (1, 6, 7, 8, 15, 40))
@pytest.mark.parametrize("step", (1, 3, 7, 100))
def test_windows_slide_to_the_end(frames, step):
    starts = window_starts(frames, WINDOW.span, step)
    assert starts[0] == 0
    assert starts[-1] == max(frames - WINDOW.span, 0)
    assert all(0 < gap <= step for gap in np.diff(starts))
    assert set(starts[:-1]) == set(range(0, starts[-1], step))


def cut(plan: Plan, folder: Path, number: int, start: int) -> Path:
    """A shard set of one sample: `WINDOW.span` frames of another sample's clip, from frame `start`."""
    info, members = make_sample(plan, "val", number)
    part = slice(start, start + WINDOW.span)
    hands = {
        name: HandTrack(info.hands[name].boxes[part], info.hands[name].missing[part], info.hands[name].jpegs[part])
        for name in HANDS
    }
    flow = array_from_npy(members["flow.npy"])[start : start + WINDOW.span - 1]
    info = replace(info, frames=len(hands["left"].boxes), hands=hands)
    packed = pack(info.id, {**members, "json": info.to_json(), "flow.npy": npy_bytes(flow)})
    folder.mkdir()
    (folder / "one").write_bytes(packed.data)
    shard = write_shard(folder / "val-000.tar", [Extent(folder / "one", 0, packed.extent)])
    write_index(folder / "val.parquet", scan_shard(folder / "val-000.tar"))
    Dataset(plan.recipe, {}, CLASSES, {"val": [shard]}).write(folder)
    return folder


def test_a_sliding_window_sees_what_a_clip_cut_to_it_shows(checkpoint, tmp_path, made):
    plan = Plan({"val": 6})
    shards = open_shards(str(made(splits=plan.splits)))
    found = predict(checkpoint, made(splits=plan.splits), ViewSettings(sliding=2))
    longest = int(shards.frames.argmax())
    sample_id, frames = shards.ids[longest].as_py(), int(shards.frames[longest])
    assert frames > WINDOW.span + 3
    rows = [number for number, row in enumerate(found.ids) if row == sample_id]
    starts = window_starts(frames, WINDOW.span, 2)
    assert len(rows) == len(starts) > 2
    assert len(found.ids) == sum(len(window_starts(count, WINDOW.span, 2)) for count in shards.frames.tolist())
    for place, start in zip(rows, starts, strict=True):
        alone = cut(plan, tmp_path / f"cut{start}", int(sample_id.removeprefix("val_sample")), start)
        assert np.abs(predict(checkpoint, alone).logits[0] - found.logits[place]).max() < 1e-5
        assert np.allclose(found.times[place], [start / 30, (start + 7) / 30])


def test_times_of_a_clip_that_is_shorter_than_the_window(made):
    shards = open_shards(str(made(splits={"val": 3}, frames=5)))  # 5 frames each, the window spans 7
    windows = plan_windows(shards, WINDOW.span, 4)
    assert windows.samples.tolist() == [0, 1, 2]
    assert np.allclose(windows.times, [[0, 5 / 30]] * 3)


def test_loader_processes_change_nothing(checkpoint, small):
    views = [View(start=(number % 7) / 7) for number in range(len(open_shards(str(small))))]
    assert np.array_equal(viewed(checkpoint, small, views), viewed(checkpoint, small, views, workers=2))
