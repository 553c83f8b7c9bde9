"""From raw crops to model input, batched on the training device: one affine resample, mirror, light, normalisation."""

from functools import lru_cache

import torch

from train.data.batch import Batch, Pixels

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Rec. 601 luma, as Pillow and torchvision take it.
_LUMA = (0.299, 0.587, 0.114)
# Crops resampled at a time: bounds the memory of the indices (256 crops of 224² take some 0.8 GB).
_CHUNK = 256


def resample(pixels: Pixels, size: int, padded: bool = False) -> torch.Tensor:
    """Bilinear samples of every crop's box on a size × size grid.

    Half-pixel centres, edges repeated (as OpenCV and Pillow resize), or, `padded`, black outside the crop.

    Returns:
        float32 (N, C, size, size), 0 to 255.
    """
    parts = []
    for chunk in torch.arange(len(pixels.start), device=pixels.start.device).split(_CHUNK):
        x0, x1, wx = _taps(pixels.box[chunk, 0], pixels.box[chunk, 2], pixels.size[chunk, 0], size)
        y0, y1, wy = _taps(pixels.box[chunk, 1], pixels.box[chunk, 3], pixels.size[chunk, 1], size)
        start, width = pixels.start[chunk, None, None], pixels.size[chunk, 0, None, None].long()

        def rows(y: torch.Tensor, x: torch.Tensor, start=start, width=width) -> torch.Tensor:  # noqa: ANN001
            index = start + y[:, :, None] * width + x[:, None, :]
            return pixels.values[index.reshape(-1)].reshape(*index.shape, -1).float()

        across, down = wx[:, None, :, None], wy[:, :, None, None]
        top = torch.lerp(rows(y0, x0), rows(y0, x1), across)
        bottom = torch.lerp(rows(y1, x0), rows(y1, x1), across)
        image = torch.lerp(top, bottom, down)
        if padded:
            inside = _inside(pixels.box[chunk, 0], pixels.box[chunk, 2], pixels.size[chunk, 0], size)[:, None, :]
            inside = (
                inside & _inside(pixels.box[chunk, 1], pixels.box[chunk, 3], pixels.size[chunk, 1], size)[:, :, None]
            )
            image = image * inside[..., None]
        parts.append(image.permute(0, 3, 1, 2))
    return torch.cat(parts)


def _centres(low: torch.Tensor, high: torch.Tensor, size: int) -> torch.Tensor:
    """(N, size) coordinates of the samples between two edges."""
    steps = (torch.arange(size, device=low.device, dtype=torch.float32) + 0.5) / size
    return low[:, None] + (high - low)[:, None] * steps - 0.5


def _taps(
    low: torch.Tensor, high: torch.Tensor, limit: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The two pixels beside every sample, int64 (N, size), and the weight of the second."""
    last = (limit - 1)[:, None].float()
    place = _centres(low, high, size).clamp(min=0).minimum(last)
    first = place.floor()
    return first.long(), (first + 1).minimum(last).long(), place - first


def _inside(low: torch.Tensor, high: torch.Tensor, limit: torch.Tensor, size: int) -> torch.Tensor:
    centres = _centres(low, high, size)
    return (centres > -0.5) & (centres < limit[:, None] - 0.5)


def relight(images: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation, in this order, each a blend as in torchvision's ColorJitter.

    Args:
        images: float (B, K, C, H, W), 0 to 1.
        light: float (B, 3), factors; 1 changes nothing.
    """
    brightness, contrast, saturation = (light[:, i, None, None, None, None] for i in range(3))
    images = (images * brightness).clamp(0, 1)
    mean = _grey(images).mean(dim=(-2, -1), keepdim=True)
    images = (mean + (images - mean) * contrast).clamp(0, 1)
    if images.shape[2] == 3:
        grey = _grey(images)
        images = (grey + (images - grey) * saturation).clamp(0, 1)
    return images


def _grey(images: torch.Tensor) -> torch.Tensor:
    if images.shape[2] == 1:
        return images
    return (images * _per_channel(_LUMA, images.device)).sum(dim=2, keepdim=True)


@lru_cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """float32 (3, 1, 1), made once: every copy to a GPU from ordinary memory makes the host wait for it."""
    return torch.tensor(values, device=device)[:, None, None]


def model_input(batch: Batch, size: int, training: bool, padded_depth: bool = False) -> tuple[torch.Tensor, ...]:
    """(crops, pose) or (crops, pose, depth) for the model, from a batch on the device.

    Returns:
        crops float32 (B, L, 2, 3, size, size), normalised with ImageNet's mean and std; pose (B, L, 106); depth like
        crops, its channels equal but for the normalisation.
    """
    crops = _images(batch.color, batch, size, training, padded=False)
    if batch.depth is None:
        return crops, batch.pose
    return crops, batch.pose, _images(batch.depth, batch, size, training, padded_depth)


def _images(pixels: Pixels, batch: Batch, size: int, training: bool, padded: bool) -> torch.Tensor:
    count, length = batch.pose.shape[:2]
    images = resample(pixels, size, padded).div_(255)
    images = images.reshape(count, length * 2, -1, size, size)
    if training:
        images = torch.where(batch.mirrored[:, None, None, None, None], images.flip(-1), images)
        images = relight(images, batch.light)
    mean, std = (_per_channel(values, images.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    # A grey crop becomes three equal channels here: (…, 1, …) against (3, 1, 1).
    return ((images - mean) / std).reshape(count, length, 2, 3, size, size)
