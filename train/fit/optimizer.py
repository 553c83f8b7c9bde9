"""Optimizer, learning-rate schedule and weight averaging."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights change; the defaults are the 2021 entry's."""

    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: str = "step"  # "step": × 0.1 every `lr_step_size` epochs; "cosine": down to 0 at `max_epochs`
    lr_step_size: int = 5
    warmup_epochs: float = 0  # linear, before either schedule
    max_epochs: int = 100
    ema_decay: float = 0.0  # 0: no averaged model
    decay_matrices_only: bool = False  # weight decay for parameters of two axes, and for no others


def learning_rate(settings: OptimizerSettings, epoch: float) -> float:
    """The learning rate at a point of training; `epoch` counts from 0 and may lie inside an epoch."""
    if epoch < settings.warmup_epochs:
        # Not from 0, which would make the first step one that changes nothing.
        return settings.learning_rate * max(epoch / settings.warmup_epochs, 0.01)
    if settings.schedule == "cosine":
        progress = (epoch - settings.warmup_epochs) / (settings.max_epochs - settings.warmup_epochs)
        return settings.learning_rate * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return settings.learning_rate * 0.1 ** (int(epoch - settings.warmup_epochs) // settings.lr_step_size)


def make_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Adam over what is trained; with weight decay AdamW's decoupled one.

    Without decay the two are the same, so the published runs' Adam is reproduced.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [{"params": trained, "weight_decay": settings.weight_decay}]
    if settings.decay_matrices_only:
        groups[0]["params"] = [parameter for parameter in trained if parameter.ndim == 2]
        groups.append({"params": [parameter for parameter in trained if parameter.ndim != 2], "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def make_average(model: nn.Module, settings: OptimizerSettings) -> AveragedModel | None:
    """An exponential moving average of the weights and batch-norm statistics, or None."""
    if not settings.ema_decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
