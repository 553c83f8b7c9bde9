"""From raw crops to images, batched on the training device: one affine resample, light, normalization."""

from dataclasses import dataclass
from functools import lru_cache

import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Rec. 601 luma, as Pillow and torchvision take it.
_LUMA = (0.299, 0.587, 0.114)
# Crops resampled at a time: bounds the memory of the indices (256 crops of 224² take some 0.8 GB).
_CHUNK = 256


@dataclass
class Pixels:
    """The crops of a batch at native size: uint8 pixels one crop after another, rows of 3 (color) or 1 (gray) bytes.

    N = B·L·2 positions, sample by sample, frame by frame, left hand then right.
    """

    values: torch.Tensor  # uint8 (P, 3) or (P, 1)
    start: torch.Tensor  # int64 (N,): the crop's first row in `values`
    size: torch.Tensor  # int32 (N, 2): width, height
    box: torch.Tensor  # float32 (N, 4): what is seen, in the crop's pixels

    def part(self, first: int, last: int) -> "Pixels":
        """The positions from `first` to before `last`, whose crops lie side by side, on the same memory."""
        start, size = self.start[first:last], self.size[first:last]
        low, high = int(start.min()), int((start + size[:, 0] * size[:, 1]).max())
        return Pixels(self.values[low:high], start - low, size, self.box[first:last])


def resample(pixels: Pixels, size: int, padded: bool = False) -> torch.Tensor:
    """Bilinear samples of every crop's box on a size × size grid.

    Half-pixel centers, edges repeated (as OpenCV and Pillow resize), or, `padded`, black outside the crop.

    Returns:
        float32 (N, C, size, size), 0 to 255.
    """
    parts = []
    for chunk in torch.arange(len(pixels.start), device=pixels.start.device).split(_CHUNK):
        box, limit = pixels.box[chunk], pixels.size[chunk]
        x0, x1, wx = _taps(box[:, 0], box[:, 2], limit[:, 0], size)
        y0, y1, wy = _taps(box[:, 1], box[:, 3], limit[:, 1], size)
        across, down = wx[:, None, :, None], wy[:, :, None, None]
        top = torch.lerp(_at(pixels, chunk, x0, y0), _at(pixels, chunk, x1, y0), across)
        bottom = torch.lerp(_at(pixels, chunk, x0, y1), _at(pixels, chunk, x1, y1), across)
        image = torch.lerp(top, bottom, down)
        if padded:
            columns = _inside(box[:, 0], box[:, 2], limit[:, 0], size)
            rows = _inside(box[:, 1], box[:, 3], limit[:, 1], size)
            image = image * (columns[:, None, :] & rows[:, :, None])[..., None]
        parts.append(image.permute(0, 3, 1, 2))
    return torch.cat(parts)


def _at(pixels: Pixels, crops: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """float32 (N, size, size, C): some crops' pixels in the columns x and rows y, int64 (N, size)."""
    start, width = pixels.start[crops, None, None], pixels.size[crops, 0, None, None].long()
    index = start + y[:, :, None] * width + x[:, None, :]
    return pixels.values[index.reshape(-1)].reshape(*index.shape, -1).float()


def _centers(low: torch.Tensor, high: torch.Tensor, size: int) -> torch.Tensor:
    """(N, size) coordinates of the samples between two edges."""
    steps = (torch.arange(size, device=low.device, dtype=torch.float32) + 0.5) / size
    return low[:, None] + (high - low)[:, None] * steps - 0.5


def _taps(
    low: torch.Tensor, high: torch.Tensor, limit: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The two pixels beside every sample, int64 (N, size), and the weight of the second."""
    last = (limit - 1)[:, None].float()
    place = _centers(low, high, size).clamp(min=0).minimum(last)
    first = place.floor()
    return first.long(), (first + 1).minimum(last).long(), place - first


def _inside(low: torch.Tensor, high: torch.Tensor, limit: torch.Tensor, size: int) -> torch.Tensor:
    centers = _centers(low, high, size)
    return (centers > -0.5) & (centers < limit[:, None] - 0.5)


def relight(images: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation, in this order, each a blend as in torchvision's ColorJitter.

    Args:
        images: float (B, K, C, H, W), 0 to 1.
        light: float (B, 3), factors; 1 changes nothing.
    """
    brightness, contrast, saturation = (light[:, i, None, None, None, None] for i in range(3))
    images = (images * brightness).clamp(0, 1)
    mean = _gray(images).mean(dim=(-2, -1), keepdim=True)
    images = (mean + (images - mean) * contrast).clamp(0, 1)
    if images.shape[2] == 3:
        gray = _gray(images)
        images = (gray + (images - gray) * saturation).clamp(0, 1)
    return images


def _gray(images: torch.Tensor) -> torch.Tensor:
    if images.shape[2] == 1:
        return images
    return (images * _per_channel(_LUMA, images.device)).sum(dim=2, keepdim=True)


@lru_cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """float32 (3, 1, 1), made once: every copy to a GPU from ordinary memory makes the host wait for it."""
    return torch.tensor(values, device=device)[:, None, None]


def imagenet_normalized(images: torch.Tensor) -> torch.Tensor:
    """Images (B, K, C, H, W) of 0 to 1 less ImageNet's mean, by its std; one of a single channel gets three equal ones
    before that."""
    mean, std = (_per_channel(values, images.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std
