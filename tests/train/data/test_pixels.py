import numpy as np
import pytest
import torch
from helpers.golden_weights import GOLDEN
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from pipeline.hands.crops import shrink
from shards.format.recipe import DEFAULT, REFERENCE
from train.data.batch import Batch, Pixels
from train.data.pixels import IMAGENET_MEAN, IMAGENET_STD, model_input, relight, resample
from train.data.views import EVALUATION, View, seen_boxes


def pixels_of(images: list[np.ndarray], view: View = EVALUATION, recipe=DEFAULT, boxes=None, padded=False) -> Pixels:
    """Crops (h, w, 3) or (h, w, 1) one after another, each at one place."""
    sizes = np.array([image.shape[1::-1] for image in images])
    rows = [image.reshape(-1, image.shape[2]) for image in images]
    start = np.cumsum([0, *map(len, rows[:-1])])
    boxes = seen_boxes(sizes[None], [view], recipe, padded)[0] if boxes is None else np.array(boxes, np.float32)
    return Pixels(
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(start),
        torch.from_numpy(sizes.astype(np.int32)),
        torch.from_numpy(boxes),
    )


def batch_of(color: Pixels, depth: Pixels | None = None, samples: int = 1, view: View = EVALUATION) -> Batch:
    length = len(color.start) // (2 * samples)
    light = torch.tensor([[view.brightness, view.contrast, view.saturation]] * samples)
    mirrored = torch.tensor([view.mirrored] * samples)
    pose, labels = torch.zeros(samples, length, 106), torch.zeros(samples, dtype=torch.long)
    return Batch(color, depth, pose, labels, mirrored, light, ["a"] * samples, samples)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("number", range(5))
def test_evaluation_is_the_golden_transform(number):
    with np.load(GOLDEN / "eval_transform.npz") as golden:
        crop, expected = golden[f"crop{number}"], golden[f"out{number}"]
    # What is larger than 256 was shrunk, not antialiased, when it was cut.
    crop = shrink(crop, aliased=True)
    crops, _ = model_input(batch_of(pixels_of([crop, crop], recipe=REFERENCE)), 224, training=False)
    assert crops.shape == (1, 1, 2, 3, 224, 224)
    assert torch.equal(crops[0, 0, 0], crops[0, 0, 1])
    difference = np.abs(crops[0, 0, 0].numpy() - expected.astype(np.float32))
    # The reference rounds to uint8 between resizing and cropping, which moves a value by up to half a grey level, and
    # once more when it shrinks; one grey level is 1 / 255 / 0.224 = 0.0175. Measured: at most 0.0062 and 0.0185.
    assert difference.mean() < 0.007
    assert difference.max() < 0.02


def test_resampling_a_whole_crop_is_torchs_bilinear_resize():
    image = noise(90, 70, 3)
    found = resample(pixels_of([image], boxes=[[0, 0, 70, 90]]), 128)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = F.interpolate(tensor, (128, 128), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_a_box_of_the_models_size_is_a_slice():
    image = noise(50, 60, 3)
    found = resample(pixels_of([image], boxes=[[10, 5, 42, 37]]), 32)
    assert torch.equal(found[0].permute(1, 2, 0).byte(), torch.from_numpy(image[5:37, 10:42]))


def test_crops_of_all_sizes_do_not_mix():
    images = [
        np.full((height, width, 3), value, np.uint8) for height, width, value in [(1, 1, 9), (40, 7, 80), (3, 90, 255)]
    ]
    found = resample(pixels_of(images * 120), 16)  # more than one chunk
    assert found.shape == (360, 3, 16, 16)
    assert found.amin(dim=(1, 2, 3)).tolist() == found.amax(dim=(1, 2, 3)).tolist() == [9.0, 80.0, 255.0] * 120


def test_outside_is_the_edge_or_black():
    image = np.full((10, 10, 1), 200, np.uint8)
    pixels = pixels_of([image], boxes=[[0, 0, 20, 10]])
    assert (resample(pixels, 20) == 200).all()
    padded = resample(pixels, 20, padded=True)[0, 0]
    assert (padded[:, :10] == 200).all()
    assert (padded[:, 10:] == 0).all()


def test_light_is_torchvisions_colour_jitter():
    images = torch.rand(2, 3, 3, 8, 8)
    light = torch.tensor([[1.4, 0.6, 1.3], [0.5, 1.5, 0.5]])
    found = relight(images, light)
    for sample in range(2):
        expected = tv.adjust_brightness(images[sample], float(light[sample, 0]))
        expected = tv.adjust_contrast(expected, float(light[sample, 1]))
        expected = tv.adjust_saturation(expected, float(light[sample, 2]))
        # torchvision's grey has 0.2989, 0.587, 0.114.
        torch.testing.assert_close(found[sample], expected, atol=2e-4, rtol=0)


def test_factors_of_one_change_nothing():
    for channels in (1, 3):
        images = torch.rand(2, 3, channels, 8, 8)
        torch.testing.assert_close(relight(images, torch.ones(2, 3)), images)


def test_training_mirrors_and_relights_and_evaluation_does_not():
    image = noise(64, 64, 3)
    view = View(mirrored=True, brightness=0.5)
    pixels = pixels_of([image, image])
    plain, _ = model_input(batch_of(pixels), 56, training=True)
    changed, _ = model_input(batch_of(pixels, view=view), 56, training=True)
    untouched, _ = model_input(batch_of(pixels, view=view), 56, training=False)
    torch.testing.assert_close(plain, untouched, atol=1e-5, rtol=0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = ((plain.flip(-1) * std + mean) * 0.5 - mean) / std
    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=0)


def test_places_keep_their_order_and_grey_depth_gets_three_channels():
    values = np.arange(8) * 30
    color = pixels_of([np.full((9, 9, 3), value, np.uint8) for value in values])
    depth = pixels_of([np.full((7, 8, 1), value, np.uint8) for value in values[::-1]])
    crops, pose, depths = model_input(batch_of(color, depth, samples=2), 12, training=False)
    assert pose.shape == (2, 2, 106)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    for found, order in ((crops, values), (depths, values[::-1])):
        assert found.shape == (2, 2, 2, 3, 12, 12)
        expected = (torch.tensor(order.reshape(2, 2, 2).copy())[..., None, None, None] / 255 - mean) / std
        torch.testing.assert_close(found, expected.expand_as(found).float())
