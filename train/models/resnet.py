"""What sees each crop: torchvision's ResNets, or a small one for trials, with their first weights and frozen parts."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet34_Weights, WeightsEnum, resnet18, resnet34
from torchvision.models.resnet import BasicBlock

from shards.errors import InputError
from train.models.weights import load_state, load_untrusted

# conv1, bn1, relu, maxpool, layer1 … layer4: all of a ResNet but the pooling and the classifier.
TRUNK_LAYERS = 8


@dataclass(frozen=True)
class Cnn:
    """A choice of `--cnn`."""

    build: Callable[[], nn.Module]  # its first TRUNK_LAYERS children are the trunk
    features: int  # channels of layer4
    imagenet: WeightsEnum | None


def small_resnet() -> nn.Sequential:
    """A ResNet-10 of a quarter of the width, 0.3 million parameters: the trunk alone.

    For crops of 32 pixels, of which ResNet-18's last layer, 8 of its 11 million parameters, sees one: a run of two tiny
    epochs on one core took 1.4 s, with ResNet-18 8.1 s.
    """
    widths, layers = (16, 16, 32, 64, 128), []
    for before, after in pairwise(widths):
        shortcut = None
        if after > before:
            shortcut = nn.Sequential(nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after))
        layers.append(nn.Sequential(BasicBlock(before, after, 2 if shortcut else 1, shortcut)))
    first = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
    trunk = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), *layers)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's
    return trunk


CNNS = {
    "rn18": Cnn(resnet18, 512, ResNet18_Weights.IMAGENET1K_V1),
    "rn34": Cnn(resnet34, 512, ResNet34_Weights.IMAGENET1K_V1),
    "small": Cnn(small_resnet, 128, None),
}


class FeatureExtractor(nn.Module):
    """One vector per crop: a ResNet without its classifier, averaged over the image."""

    def __init__(self, cnn: str, embed_size: int) -> None:
        super().__init__()
        self.cnn, features = cnn, CNNS[cnn].features
        self.resnet = _trunk(CNNS[cnn].build())
        own_size = embed_size == features
        self.pointwise_conv = nn.Identity() if own_size else nn.Conv2d(features, embed_size, 1)
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


def freeze(model: nn.Module, layers: int) -> None:
    """Train the first `layers` (0 to 8) of the parts of each ResNet that a model has, see `TRUNK_LAYERS`, no further.

    Their batch-norm statistics stay too; in the reference those still moved, so that the frozen features drifted.
    """
    for extractor in _extractors(model).values():
        extractor.frozen_layers = layers
        extractor.resnet[:layers].requires_grad_(False)
        extractor.train(extractor.training)


def load_imagenet(model: nn.Module, weights: str) -> None:
    """Start each ResNet of `model` from weights trained on ImageNet, or from those in another run's checkpoint.

    Args:
        model: changed in place.
        weights: "imagenet" for torchvision's download (kept in torch's cache), or the path of such a file or of a
            checkpoint of ours.

    Raises:
        InputError: the download failed, the file does not have that ResNet, or there are no such weights for it.
    """
    extractors = _extractors(model)
    cnn = CNNS[next(iter(extractors.values())).cnn]
    state = _download(cnn.imagenet) if weights == "imagenet" else load_untrusted(Path(weights))
    if not isinstance(state, dict):
        raise InputError(f"{weights}: holds no weights; give a state dict of a ResNet of torchvision's")
    if isinstance(state.get("model"), dict):
        _load_from_ours(extractors, state["model"], weights)
        return
    whole = cnn.build()
    whole.fc = nn.Identity()
    load_state(whole, {name: value for name, value in state.items() if not str(name).startswith("fc.")}, weights)
    for extractor in extractors.values():
        extractor.resnet.load_state_dict(_trunk(whole).state_dict())


def _load_from_ours(extractors: dict[str, FeatureExtractor], state: dict[str, Any], source: str) -> None:
    """The ResNets of a model of ours, whose weights `state` is; that of depth from color where there is no other."""
    for name, extractor in extractors.items():
        prefixes = (f"{name}.resnet.", "feature_extractor.resnet.")
        own = [{key[len(prefix) :]: state[key] for key in state if str(key).startswith(prefix)} for prefix in prefixes]
        if not any(own):
            raise InputError(f"{source}: the model in it has no ResNet; give one that sees hand crops")
        load_state(extractor.resnet, next(filter(None, own)), source)


def _download(weights: WeightsEnum | None) -> dict[str, Any]:
    if weights is None:
        raise InputError("there are no ImageNet weights of the small ResNet; give --cnn-weights none, or --cnn rn18")
    try:
        return weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{weights.url}: cannot be downloaded ({error}); fetch it where there is a network and give the file's path"
        ) from error


def _trunk(resnet: nn.Module) -> nn.Sequential:
    return nn.Sequential(*list(resnet.children())[:TRUNK_LAYERS])


def _extractors(model: nn.Module) -> dict[str, FeatureExtractor]:
    return {name: module for name, module in model.named_modules() if isinstance(module, FeatureExtractor)}
