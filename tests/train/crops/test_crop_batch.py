import numpy as np
import pytest
import torch
from helpers.data.crops import noise, pixels_of
from helpers.models.golden_weights import GOLDEN

from pipeline.hands.crops import shrink
from shards.format.recipe import REFERENCE
from train.crops.crop_batch import CropBatch
from train.crops.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from train.data.views import EVALUATION, View


def batch_of(color: Pixels, depth: Pixels | None = None, samples: int = 1, view: View = EVALUATION) -> CropBatch:
    length = len(color.start) // (2 * samples)
    light = torch.tensor([[view.brightness, view.contrast, view.saturation]] * samples)
    mirrored = torch.tensor([view.mirrored] * samples)
    pose, labels = torch.zeros(samples, length, 106), torch.zeros(samples, dtype=torch.long)
    return CropBatch(color, depth, pose, labels, mirrored, light, ["a"] * samples, samples)


@pytest.mark.parametrize("number", range(5))
def test_evaluation_is_the_golden_transform(number):
    with np.load(GOLDEN / "eval_transform.npz") as golden:
        crop, expected = golden[f"crop{number}"], golden[f"out{number}"]
    # What is larger than 256 was shrunk, not antialiased, when it was cut.
    crop = shrink(crop, aliased=True)
    crops, _ = batch_of(pixels_of([crop, crop], recipe=REFERENCE)).inputs(224, training=False)
    assert crops.shape == (1, 1, 2, 3, 224, 224)
    assert torch.equal(crops[0, 0, 0], crops[0, 0, 1])
    difference = np.abs(crops[0, 0, 0].numpy() - expected.astype(np.float32))
    # The reference rounds to uint8 between resizing and cropping, which moves a value by up to half a gray level, and
    # once more when it shrinks; one gray level is 1 / 255 / 0.224 = 0.0175. Measured: at most 0.0062 and 0.0185.
    assert difference.mean() < 0.007
    assert difference.max() < 0.02


def test_views_mirror_and_training_relights_and_evaluation_does_not():
    image = noise(64, 64, 3)
    view = View(mirrored=True, brightness=0.5)
    pixels = pixels_of([image, image])
    plain, _ = batch_of(pixels).inputs(56, training=True)
    changed, _ = batch_of(pixels, view=view).inputs(56, training=True)
    mirrored, _ = batch_of(pixels, view=view).inputs(56, training=False)
    torch.testing.assert_close(plain.flip(-1), mirrored, atol=1e-5, rtol=0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = ((plain.flip(-1) * std + mean) * 0.5 - mean) / std
    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=0)


def test_positions_keep_their_order_and_gray_depth_gets_three_channels():
    values = np.arange(8) * 30
    color = pixels_of([np.full((9, 9, 3), value, np.uint8) for value in values])
    depth = pixels_of([np.full((7, 8, 1), value, np.uint8) for value in values[::-1]])
    crops, pose, depths = batch_of(color, depth, samples=2).inputs(12, training=False)
    assert pose.shape == (2, 2, 106)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    for found, order in ((crops, values), (depths, values[::-1])):
        assert found.shape == (2, 2, 2, 3, 12, 12)
        expected = (torch.tensor(order.reshape(2, 2, 2).copy())[..., None, None, None] / 255 - mean) / std
        torch.testing.assert_close(found, expected.expand_as(found).float())
