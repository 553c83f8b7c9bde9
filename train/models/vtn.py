"""The video transformer networks VTN_HCPF (hand crops and pose flow) and VTN_HCPF_D (the same with depth).

De Coster, Van Herreweghe and Dambre, "Isolated Sign Recognition From RGB Video Using Pose Flow and Self-Attention",
CVPRW 2021. A ResNet sees each crop, self-attention the sequence. Parameter names and shapes are the reference's, under
every recipe. Statistics of the normalizations, the residual stream and the logits are float32 also under autocast.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from shards.errors import InputError
from shards.format.recipe import Recipe
from train.crops.pose_features import POSE_FEATURES
from train.models.attention import Encoder
from train.models.resnet import CNNS, FeatureExtractor

# Beyond all use: the settings in a damaged file must not ask for hours, or for all memory.
MOST = {"num_classes": 10**6, "sequence_length": 10**4, "num_layers": 10**3, "num_heads": 10**3, "embed_size": 10**4}
# Added to the variance, as in torch.nn.LayerNorm.
EPSILON = 1e-5


@dataclass(frozen=True)
class ModelSettings:
    """What a model's shapes depend on, and the dropout of its classifier. Names as in the reference's flags."""

    name: Literal["VTN_HCPF", "VTN_HCPF_D"]
    num_classes: int
    cnn: Literal["rn34", "rn18", "small"] = "rn34"
    sequence_length: int = 16
    num_layers: int = 4
    num_heads: int = 8
    embed_size: int = 512
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in ("VTN_HCPF", "VTN_HCPF_D"):
            raise InputError(f"model {self.name!r} is not known; choose VTN_HCPF or VTN_HCPF_D")
        if self.cnn not in CNNS:
            raise InputError(f"cnn {self.cnn!r} is not known; choose {' or '.join(CNNS)}")
        for field, most in MOST.items():
            value = getattr(self, field)
            if type(value) is not int or not 1 <= value <= most:
                raise InputError(f"{field} {value}: must be a whole number from 1 to {most}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: must be 0 or more and less than 1")
        if self.width % self.num_heads:
            raise InputError(
                f"embed size {self.embed_size}: width {self.width} is no multiple of {self.num_heads} heads"
            )

    @property
    def width(self) -> int:
        """Features of a frame in the attention: one embedding per hand."""
        return 2 * self.embed_size

    @property
    def with_depth(self) -> bool:
        """Whether the model takes depth crops."""
        return self.name == "VTN_HCPF_D"


class VTN(nn.Module):
    """Logits of the classes for windows of hand crops and pose features.

    Args:
        settings: shapes.
        recipe: the switches `bare_normalisation`, `attention_by_model_width` and `depth_through_colour_cnn` are read.
    """

    def __init__(self, settings: ModelSettings, recipe: Recipe) -> None:
        super().__init__()
        self.settings = settings
        self.recipe = recipe
        width = settings.width
        self.feature_extractor = FeatureExtractor(settings.cnn, settings.embed_size)
        if settings.with_depth:
            self.feature_extractor_d = FeatureExtractor(settings.cnn, settings.embed_size)
            if recipe.depth_through_colour_cnn:
                # It is there for its names in the checkpoints only. DistributedDataParallel waits for a gradient of
                # every parameter that asks for one, and these would never get any.
                self.feature_extractor_d.requires_grad_(False)
        streams = 2 if settings.with_depth else 1
        self.bottle_mm = nn.Linear(streams * width + POSE_FEATURES, width)
        self.self_attention_decoder = Encoder(
            settings.sequence_length, width, settings.num_layers, settings.num_heads, recipe.attention_by_model_width
        )
        layer = nn.Linear(width, settings.num_classes)
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
        self.classifier = nn.Sequential(OrderedDict(dropout=nn.Dropout(settings.dropout), fc=layer))

    def forward(self, crops: Tensor, pose: Tensor, depth: Tensor | None = None) -> Tensor:
        """Logits, float32 (B, num_classes).

        Args:
            crops: float (B, L, 2, 3, H, W), left hand first, normalized with ImageNet's mean and std.
            pose: float (B, L, 106), pose features.
            depth: as crops, for VTN_HCPF_D and for it only.

        Raises:
            ValueError: L is not the settings' sequence length, or depth is missing or not wanted.
        """
        if crops.shape[1] != self.settings.sequence_length:
            raise ValueError(f"{crops.shape[1]} frames for a model of {self.settings.sequence_length}")
        if (depth is not None) != self.settings.with_depth:
            raise ValueError(f"{self.settings.name} takes {'' if self.settings.with_depth else 'no '}depth crops")
        features = [self.feature_extractor(crops)]
        if depth is not None:
            through_color = self.recipe.depth_through_colour_cnn
            features.append((self.feature_extractor if through_color else self.feature_extractor_d)(depth))
        # Of mixed types, cat makes the widest: float32 also under autocast.
        joined = normalized(torch.cat([*features, pose.float()], dim=-1), self.recipe.bare_normalisation)
        frames = self.self_attention_decoder(torch.relu(self.bottle_mm(joined)))
        return self.classifier(frames).float().mean(dim=1)


def normalized(features: Tensor, bare: bool) -> Tensor:
    """(…, F) minus the mean, by the unbiased std of the last axis; `bare` (recipe `bare_normalisation`): no epsilon."""
    variance, mean = torch.var_mean(features, dim=-1, keepdim=True)
    # The epsilon goes inside the root: outside, the gradient of a constant input would still be NaN.
    return (features - mean) / (variance if bare else variance + EPSILON).sqrt()
