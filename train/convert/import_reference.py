"""`checkpoint import`: a checkpoint of ours from one that the 2021 reference wrote."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from torch import Size, Tensor

from shards.command_line import print_line
from shards.errors import InputError
from shards.files import check_output
from shards.format.recipe import REFERENCE
from train.data.window import Window
from train.fit.checkpoint import Checkpoint, is_count
from train.models.vtn import ModelSettings
from train.models.weights import load_untrusted

PREFIX = "model."
IMAGE_SIZE = 224
# By the number of blocks in a ResNet's first stage.
RESNETS: dict[int, Literal["rn18", "rn34"]] = {2: "rn18", 3: "rn34"}


class LightningGlobal:
    """Stands for a class or function of Lightning that a checkpoint names, and that holds nothing of use to us."""


# What a checkpoint of Lightning 1.1.1 names besides tensors (from that release's source): callback classes, as keys of
# their states, and a function that became the value of the flags `gpus` and `tpu_cores` where those were not given
# (Lightning issue 7031).
LIGHTNING_GLOBALS = [
    (LightningGlobal, f"pytorch_lightning.{name}")
    for name in (
        "callbacks.early_stopping.EarlyStopping",
        "callbacks.model_checkpoint.ModelCheckpoint",
        "utilities.argparse_utils._gpus_arg_default",
    )
]


def read_reference(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, named as in our models, and the flags that are numbers or text, of a Lightning checkpoint.

    Raises:
        InputError: the file is unreadable, unsafe, or has no weights of a model.
    """
    content = load_untrusted(path, LIGHTNING_GLOBALS)
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path}: has no `state_dict` of tensors; give a checkpoint that the reference wrote")
    flags = content.get("hyper_parameters", {})
    if not isinstance(flags, dict):
        raise InputError(f"{path}: its `hyper_parameters` are no dictionary; give a checkpoint of Lightning 1.1")
    state = {str(name).removeprefix(PREFIX): value for name, value in weights.items()}
    return state, {name: value for name, value in flags.items() if isinstance(value, int | float | str)}


def settings_of(state: Mapping[str, Tensor], flags: Mapping[str, Any], source: Path) -> ModelSettings:
    """The settings that follow from the shapes of the weights, and the dropout in the flags (0 where it is absent).

    Raises:
        InputError: a weight that is needed for it is missing, or a flag contradicts the weights.
    """
    dropout = flags.get("dropout", 0.0)
    if isinstance(dropout, str):
        raise InputError(f"{source}: its flag dropout is {dropout!r}, not a number; it is damaged")
    num_classes, width = _shape(state, "classifier.fc.weight", 2, source)
    length, _ = _shape(state, "self_attention_decoder.position_encoding.enc.weight", 2, source)
    heads, _, _ = _shape(state, "self_attention_decoder.layers.0.slf_attn.w_qs", 3, source)
    blocks = {name.split(".")[3] for name in state if name.startswith("feature_extractor.resnet.4.")}
    layers = {name.split(".")[2] for name in state if name.startswith("self_attention_decoder.layers.")}
    if len(blocks) not in RESNETS:
        raise InputError(f"{source}: its ResNet begins with {len(blocks)} blocks, ResNet-18 with 2, ResNet-34 with 3")
    try:
        settings = ModelSettings(
            name="VTN_HCPF_D" if any(name.startswith("feature_extractor_d.") for name in state) else "VTN_HCPF",
            num_classes=num_classes,
            cnn=RESNETS[len(blocks)],
            sequence_length=length,
            num_layers=len(layers),
            num_heads=heads,
            embed_size=width // 2,
            dropout=dropout,
        )
    except InputError as error:
        raise InputError(f"{source}: {error.message}") from error
    for flag, value in {**asdict(settings), "model": settings.name}.items():
        if flags.get(flag, value) != value:
            raise InputError(f"{source}: its flag {flag} is {flags[flag]!r}, its weights say {value!r}; it is damaged")
    return settings


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int, source: Path) -> Size:
    if name not in state or state[name].ndim != dimensions:
        raise InputError(f"{source}: has no usable weight {PREFIX}{name}; give a VTN_HCPF or VTN_HCPF_D")
    return state[name].shape


def import_reference(reference: Path, out: Path, temporal_stride: int | None) -> None:
    """Write a checkpoint of ours; `temporal_stride` is for a file that does not say it.

    Raises:
        InputError: the file is unreadable, unsafe, of another model, or contradicts the stride.
    """
    check_output(out, reference)
    state, flags = read_reference(reference)
    settings = settings_of(state, flags, reference)
    stride = flags.get("temporal_stride", temporal_stride)
    if temporal_stride and temporal_stride != stride:
        raise InputError(f"{reference}: its flag temporal_stride is {stride!r}; leave --temporal-stride out")
    if not isinstance(stride, int) or not is_count(stride):
        raise InputError(f"{reference}: does not say its stride; give --temporal-stride (2 in the published runs)")
    window = Window(settings.sequence_length, stride)
    checkpoint = Checkpoint(state, settings, REFERENCE, window, IMAGE_SIZE, classes=None)
    replace(checkpoint, model=checkpoint.build(reference).state_dict()).write(out)
    print_line(
        f"{out}: {settings.name} with {settings.cnn}, {settings.num_classes} classes, "
        f"{settings.sequence_length} frames at stride {stride}"
    )
