"""Logits of batches, without training."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from train.data.feeding import batches_on
from train.data.pixels import model_input


@torch.inference_mode()
def predict_batches(
    model: nn.Module,
    loader: DataLoader,
    device: torch.device,
    image_size: int,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """(ids, float32 logits (B, C), labels (B,)) of every batch, of a model in evaluation mode.

    Raises:
        InputError: a sample cannot be read.
    """
    for batch in batches_on(loader, device):
        inputs = model_input(batch, image_size, training=False)
        with autocast():
            logits = model(*inputs)
        yield batch.ids, logits.float().cpu().numpy(), batch.labels.cpu().numpy()
