"""The skeleton model POSE: residual convolutions over time on features of 25 keypoints.

Blocks after the 1D-CNN of H. Sohn's winning entry of "Google – Isolated Sign Language Recognition" (Kaggle, 2023), with
efficient channel attention (Wang et al., CVPR 2020). 163 thousand parameters for 10 classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shards.errors import InputError
from train.skeleton.features import FEATURES, skeleton_features

KERNEL = 5  # frames of a convolution, and channels of the attention's
DROP_PATH = 0.2
# Beyond all use: the settings in a damaged file must not ask for hours, or for all memory.
MOST = {"num_classes": 10**6, "sequence_length": 10**4, "num_layers": 10**3, "embed_size": 10**4}


@dataclass(frozen=True)
class PoseSettings:
    """What the skeleton model's shapes depend on, and the dropout of its classifier."""

    num_classes: int
    name: Literal["POSE"] = "POSE"
    sequence_length: int = 16
    num_layers: int = 3
    embed_size: int = 96
    dropout: float = 0.4

    def __post_init__(self) -> None:
        if self.name != "POSE":
            raise InputError(f"model {self.name!r} is no skeleton model; choose POSE")
        # Batch norm needs two values of a channel, also of the one sample that the end of an epoch may hold.
        for field, least in (("num_classes", 1), ("num_layers", 1), ("embed_size", 1), ("sequence_length", 2)):
            value = getattr(self, field)
            if type(value) is not int or not least <= value <= MOST[field]:
                raise InputError(f"{field} {value}: must be a whole number from {least} to {MOST[field]}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: must be 0 or more and less than 1")

    @property
    def with_depth(self) -> bool:
        """Whether the model takes depth crops."""
        return False


class PoseNet(nn.Module):
    """Logits of the classes for skeletons. A frame that shows nothing changes nothing, however it is filled."""

    def __init__(self, settings: PoseSettings) -> None:
        super().__init__()
        self.settings = settings
        width, hidden = settings.embed_size, 2 * settings.embed_size
        self.input_norm = nn.BatchNorm1d(FEATURES)
        self.embed = nn.Linear(FEATURES, width)
        self.embed_norm = nn.BatchNorm1d(width)
        self.blocks = nn.ModuleList(ConvBlock(width, hidden) for _ in range(settings.num_layers))
        self.head = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(hidden, settings.num_classes)

    def forward(self, skeletons: Tensor) -> Tensor:
        """Logits, float32 (B, num_classes).

        Args:
            skeletons: float32 (B, T, 25, 3), as `train.skeleton.nodes.place_in_body` makes them.

        Raises:
            ValueError: T is not the settings' sequence length.
        """
        if skeletons.shape[1] != self.settings.sequence_length:
            raise ValueError(f"{skeletons.shape[1]} frames for a model of {self.settings.sequence_length}")
        shown = (skeletons[..., 2] > 0).any(2)[..., None].float()
        values = over_channels(self.input_norm, skeleton_features(skeletons))
        values = over_channels(self.embed_norm, self.embed(values))
        for block in self.blocks:
            values = block(values, shown)
        frames = F.silu(self.head(values))
        return self.classifier(self.dropout(masked_mean(frames, shown)[:, 0])).float()


class ConvBlock(nn.Module):
    """A convolution over time in each of `hidden` channels, which then are weighed by what the whole clip shows."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.convolution = nn.Conv1d(hidden, hidden, KERNEL, padding=KERNEL // 2, groups=hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.attention = nn.Conv1d(1, 1, KERNEL, padding=KERNEL // 2, bias=False)
        self.project = nn.Linear(hidden, width)

    def forward(self, values: Tensor, shown: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width); `shown`: float (B, T, 1), 0 for frames without anybody."""
        hidden = F.silu(self.expand(values)) * shown
        hidden = self.norm(self.convolution(hidden.mT)).mT
        weights = torch.sigmoid(self.attention(masked_mean(hidden, shown)))
        return values + drop_path(self.project(hidden * weights), self.training)


def masked_mean(values: Tensor, shown: Tensor) -> Tensor:
    """float32 (B, 1, C), the mean over the frames of (B, T, C) that show something, 0 where none does."""
    return (values * shown).float().sum(1, keepdim=True) / shown.sum(1, keepdim=True).clamp(min=1)


def drop_path(values: Tensor, training: bool) -> Tensor:
    """In training, leave out a block's part for a fifth of the samples (Huang et al., ECCV 2016)."""
    if not training:
        return values
    kept = torch.rand(len(values), 1, 1, device=values.device) >= DROP_PATH
    return values * kept / (1 - DROP_PATH)


def over_channels(norm: nn.BatchNorm1d, values: Tensor) -> Tensor:
    """Batch norm of (B, T, C) over B and T."""
    return norm(values.flatten(0, 1)).view_as(values)
