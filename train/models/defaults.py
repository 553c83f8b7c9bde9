"""Options of `train` whose default depends on the model. Knows no torch: `--help` shows them."""

from collections.abc import Mapping
from typing import Any

from shards.errors import InputError

# The published settings of the 2021 entry.
_VTN: dict[str, Any] = {
    "cnn_weights": "imagenet",
    "cnn": "rn34",
    "sequence_length": 16,
    "temporal_stride": 2,
    "image_size": 224,
    "num_layers": 4,
    "num_heads": 8,
    "embed_size": 512,
    "dropout": 0.0,
    "freeze_layers": 0,
    "batch_size": 4,
    "accumulate_grad_batches": 8,
    "gradient_clip_val": 1.0,
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "step",
    "warmup_epochs": 0,
    "label_smoothing": 0.0,
    "max_epochs": 100,
}


class ShareOfEpochs(float):
    """A default that is a share of `--max-epochs`."""

    def __str__(self) -> str:
        return f"{100 * self:g} % of --max-epochs"


# Found on people whom the model had not seen: docs/results.md.
_POSE: dict[str, Any] = {
    "sequence_length": 16,
    "num_layers": 3,
    "embed_size": 96,
    "dropout": 0.4,
    "batch_size": 64,
    "accumulate_grad_batches": 1,
    "gradient_clip_val": 5.0,
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": ShareOfEpochs(0.05),
    "label_smoothing": 0.1,
    "max_epochs": 40,
}
# By --model; an option that stands in none of these tables has one default for all.
DEFAULTS: dict[str, dict[str, Any]] = {"VTN_HCPF": _VTN, "VTN_HCPF_D": _VTN, "POSE": _POSE}


def shown_default(option: str) -> str:
    """For an option's help: its default, and those of models that have another."""
    (_, usual), *rest = [(model, table[option]) for model, table in DEFAULTS.items() if option in table]
    return "; ".join([f"[default: {usual}", *(f"{model}: {value}" for model, value in rest if value != usual)]) + "]"


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those that were not given (None) as their model has them, without those that it does not have.

    Raises:
        InputError: one that the model does not have was given.
    """
    own = DEFAULTS[options["model"]]
    foreign = {name for table in DEFAULTS.values() for name in table} - own.keys()
    if given := sorted(name for name in foreign if options[name] is not None):
        raise InputError(f"--{given[0].replace('_', '-')} means nothing for {options['model']}; leave it out")
    kept = {name: value for name, value in options.items() if name not in foreign}
    kept |= {name: value for name, value in own.items() if options[name] is None}
    shares = {name: value * kept["max_epochs"] for name, value in kept.items() if isinstance(value, ShareOfEpochs)}
    return kept | shares
