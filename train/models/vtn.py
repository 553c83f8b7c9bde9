"""The video transformer networks VTN_HCPF (hand crops and pose flow) and VTN_HCPF_D (the same with depth).

De Coster, Van Herreweghe and Dambre, "Isolated Sign Recognition From RGB Video Using Pose Flow and Self-Attention",
CVPRW 2021. A ResNet sees each crop, self-attention the sequence. Parameter names and shapes are the reference's, under
every recipe. Statistics of the normalizations, the residual stream and the logits are float32 also under autocast.
"""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models import ResNet, ResNet18_Weights, ResNet34_Weights, resnet18, resnet34

from shards.errors import InputError
from shards.format.recipe import Recipe
from train.crops.pose_features import POSE_FEATURES
from train.models.attention import Encoder
from train.models.weights import load_state, load_untrusted

RESNET_FEATURES = 512
RESNETS = {"rn18": resnet18, "rn34": resnet34}
IMAGENET = {"rn18": ResNet18_Weights.IMAGENET1K_V1, "rn34": ResNet34_Weights.IMAGENET1K_V1}
# conv1, bn1, relu, maxpool, layer1 … layer4: all of a ResNet but the pooling and the classifier.
TRUNK_LAYERS = 8
# Beyond all use: the settings in a damaged file must not ask for hours, or for all memory.
MOST = {"num_classes": 10**6, "sequence_length": 10**4, "num_layers": 10**3, "num_heads": 10**3, "embed_size": 10**4}
# Added to the variance, as in torch.nn.LayerNorm.
EPSILON = 1e-5


@dataclass(frozen=True)
class ModelSettings:
    """What a model's shapes depend on, and the dropout of its classifier. Names as in the reference's flags."""

    name: Literal["VTN_HCPF", "VTN_HCPF_D"]
    num_classes: int
    cnn: Literal["rn34", "rn18"] = "rn34"
    sequence_length: int = 16
    num_layers: int = 4
    num_heads: int = 8
    embed_size: int = 512
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in ("VTN_HCPF", "VTN_HCPF_D"):
            raise InputError(f"model {self.name!r} is not known; choose VTN_HCPF or VTN_HCPF_D")
        if self.cnn not in RESNETS:
            raise InputError(f"cnn {self.cnn!r} is not known; choose {' or '.join(RESNETS)}")
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


class FeatureExtractor(nn.Module):
    """One vector per crop: a ResNet without its classifier, averaged over the image."""

    def __init__(self, cnn: str, embed_size: int) -> None:
        super().__init__()
        self.resnet = _trunk(RESNETS[cnn](weights=None))
        own_size = embed_size == RESNET_FEATURES
        self.pointwise_conv = nn.Identity() if own_size else nn.Conv2d(RESNET_FEATURES, embed_size, 1)
        self.frozen_layers = 0

    def forward(self, crops: Tensor) -> Tensor:
        """(B, L, 2, 3, H, W) → (B, L, 2·embed_size), left hand first."""
        batch, length = crops.shape[:2]
        # The reference averages after the convolution; both are linear, and this order is 49 times less work.
        pooled = self.resnet(crops.flatten(0, 2)).mean((2, 3), keepdim=True, dtype=torch.float32)
        return self.pointwise_conv(pooled).reshape(batch, length, -1)

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """As `nn.Module.train`, but frozen layers stay in evaluation mode: their batch norm keeps its statistics."""
        super().train(mode)
        for layer in self.resnet[: self.frozen_layers]:
            layer.eval()
        return self


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


def begin(model: VTN, weights: str, freeze_layers: int) -> None:
    """Prepare a model for a run: `load_imagenet` unless the weights are "none", then `freeze`."""
    if weights != "none":
        load_imagenet(model, weights)
    freeze(model, freeze_layers)


def freeze(model: VTN, layers: int) -> None:
    """Train the first `layers` of the 8 parts of each ResNet (conv1, bn1, relu, maxpool, layer1 … layer4) no further.

    Their batch-norm statistics stay too; in the reference those still moved, so that the frozen features drifted.

    Raises:
        InputError: `layers` is not 0 … 8.
    """
    if not 0 <= layers <= TRUNK_LAYERS:
        raise InputError(f"--freeze-layers {layers}: a ResNet has {TRUNK_LAYERS} layers; give 0 to {TRUNK_LAYERS}")
    for extractor in _extractors(model):
        extractor.frozen_layers = layers
        extractor.resnet[:layers].requires_grad_(False)
        extractor.train(extractor.training)


def load_imagenet(model: VTN, weights: str) -> None:
    """Start each ResNet of `model` from weights trained on ImageNet, or from those in another run's checkpoint.

    Args:
        model: changed in place.
        weights: "imagenet" for torchvision's download (kept in torch's cache), or the path of such a file or of a
            checkpoint of ours.

    Raises:
        InputError: the download failed, or the file does not have that ResNet.
    """
    cnn = model.settings.cnn
    state = _download(cnn) if weights == "imagenet" else load_untrusted(Path(weights))
    if not isinstance(state, dict):
        raise InputError(f"{weights}: holds no weights; give a state dict of torchvision's {RESNETS[cnn].__name__}")
    if isinstance(state.get("model"), dict):
        _load_resnets(model, state["model"], weights)
        return
    trunk_of = RESNETS[cnn](weights=None)
    trunk_of.fc = nn.Identity()
    load_state(trunk_of, {name: value for name, value in state.items() if not str(name).startswith("fc.")}, weights)
    for extractor in _extractors(model):
        extractor.resnet.load_state_dict(_trunk(trunk_of).state_dict())


def _load_resnets(model: VTN, state: dict[str, Any], source: str) -> None:
    """The ResNets of a model of ours, whose weights `state` is; that of depth from color where there is no other."""
    for name, extractor in model.named_children():
        if isinstance(extractor, FeatureExtractor):
            prefixes = (f"{name}.resnet.", "feature_extractor.resnet.")
            own = [{key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)} for prefix in prefixes]
            if not any(own):
                raise InputError(f"{source}: the model in it has no ResNet; give one that sees hand crops")
            load_state(extractor.resnet, next(filter(None, own)), source)


def _download(cnn: str) -> dict[str, Any]:
    weights = IMAGENET[cnn]
    try:
        return weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{weights.url}: cannot be downloaded ({error}); fetch it where there is a network and give the file's path"
        ) from error


def _trunk(resnet: ResNet) -> nn.Sequential:
    return nn.Sequential(*list(resnet.children())[:TRUNK_LAYERS])


def _extractors(model: VTN) -> list[FeatureExtractor]:
    return [module for module in model.modules() if isinstance(module, FeatureExtractor)]
