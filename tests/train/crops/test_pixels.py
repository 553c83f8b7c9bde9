import numpy as np
import torch
from helpers.data.crops import noise, pixels_of
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from train.crops.pixels import relight, resample


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


def test_light_is_torchvisions_color_jitter():
    images = torch.rand(2, 3, 3, 8, 8)
    light = torch.tensor([[1.4, 0.6, 1.3], [0.5, 1.5, 0.5]])
    found = relight(images, light)
    for sample in range(2):
        expected = tv.adjust_brightness(images[sample], float(light[sample, 0]))
        expected = tv.adjust_contrast(expected, float(light[sample, 1]))
        expected = tv.adjust_saturation(expected, float(light[sample, 2]))
        # torchvision's gray has 0.2989, 0.587, 0.114.
        torch.testing.assert_close(found[sample], expected, atol=2e-4, rtol=0)


def test_factors_of_one_change_nothing():
    for channels in (1, 3):
        images = torch.rand(2, 3, channels, 8, 8)
        torch.testing.assert_close(relight(images, torch.ones(2, 3)), images)
