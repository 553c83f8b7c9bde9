"""The preparation of `train.skeleton.nodes` as part of a graph: an exported model takes keypoints in pixels."""

import torch
from torch import Tensor, nn

from shards.body135 import LEFT_SHOULDER, RIGHT_SHOULDER, UPPER_NECK
from train.skeleton.nodes import BOX, LIMIT, NODES


class PixelInput(nn.Module):
    """A model of skeletons that takes the keypoints of whole clips, of any number of frames."""

    nodes: Tensor

    def __init__(self, model: nn.Module, length: int) -> None:
        super().__init__()
        self.model, self.length = model, length
        self.register_buffer("nodes", torch.from_numpy(NODES), persistent=False)

    def forward(self, keypoints: Tensor) -> Tensor:
        """The model's logits.

        Args:
            keypoints: float32 (B, L, 135, 3): x, y in pixels, score, all clips of the same length.
        """
        return self.model(self.skeletons(keypoints))

    def skeletons(self, keypoints: Tensor) -> Tensor:
        """float32 (B, T, 25, 3), what `sampled_frames` and `place_in_body` make of the clips."""
        clean = torch.where(keypoints[..., 2:] > 0, keypoints, 0.0)
        # In float64, as there: float32 may round a half to another frame.
        step = torch.ones_like(keypoints[0, :, 0, 0], dtype=torch.float64).sum() - 1
        place = torch.arange(self.length, dtype=torch.float64, device=keypoints.device) * (step / (self.length - 1))
        nodes = clean[:, :, self.nodes]
        center, width = _body_frame(clean, nodes)
        skeletons = nodes[:, place.round().long()]
        places = ((skeletons[..., :2] - center[:, :, None]) / width[:, :, None]).clamp(-LIMIT, LIMIT)
        score = skeletons[..., 2:]
        return torch.cat([torch.where(score > 0, places, 0.0), score], dim=-1)


def _body_frame(keypoints: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """As `body_frame`, of B clips: (B, 1, 2) and (B, 1, 1)."""
    neck, left, right = (keypoints[:, :, point] for point in (UPPER_NECK, LEFT_SHOULDER, RIGHT_SHOULDER))
    both = (left[..., 2:] > 0) & (right[..., 2:] > 0)
    left, right = left[..., :2], right[..., :2]
    there = nodes[..., 2:] > 0
    places = nodes[..., :2]
    count = there.sum((1, 2))[:, None]
    high = torch.where(there, places, -torch.inf).amax((1, 2))
    low = torch.where(there, places, torch.inf).amin((1, 2))
    box = torch.where(count > 0, (high - low).amax(1)[:, None, None], 0.0) / BOX
    center = places.sum((1, 2))[:, None] / count.clamp(min=1)
    center = torch.where(both.any(1, keepdim=True), _median((left + right) / 2, both), center)
    center = torch.where((neck[..., 2:] > 0).any(1, keepdim=True), _median(neck[..., :2], neck[..., 2:] > 0), center)
    width = _median((left - right).square().sum(2, keepdim=True).sqrt(), both)
    width = torch.where(width > 0, width, box)
    return center, torch.where(width > 0, width, 1.0)


def _median(values: Tensor, there: Tensor) -> Tensor:
    """(B, 1, C), over the frames of (B, L, C) where `there`, bool (B, L, 1), says so; 0 where none is."""
    ordered = torch.where(there, values, torch.inf).sort(1).values
    count = there.sum(1, keepdim=True)
    last = (count - 1).clamp(min=0)
    lower = ordered.gather(1, (last // 2).expand(-1, -1, values.shape[2]))
    upper = ordered.gather(1, ((last + 1) // 2).expand(-1, -1, values.shape[2]))
    return torch.where(count > 0, (lower + upper) / 2, 0.0)
