"""A training run: its epochs, its checkpoints, and when it ends."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from shards.errors import InputError
from shards.format.shardset import ShardSet
from train.data.loader import Loader, make_loader
from train.fit.check import check_training
from train.fit.checkpoint import Checkpoint
from train.fit.guards import enough_memory, smaller_batches
from train.fit.initial_weights import take_weights
from train.fit.resume import restore, training_state
from train.fit.run_folder import BEST, LAST, check_folder, describe, keep_last, lock_folder, open_folder, prepare_folder
from train.fit.run_log import RunLog
from train.fit.settings import SessionSettings, fitted, session_settings
from train.fit.shard_sets import open_sets
from train.fit.summary import start_summary
from train.fit.trainer import Trainer
from train.models.resnet import freeze, load_imagenet
from train.models.streams import AnyModel, stream_of
from train.ranks import distributed
from train.ranks.distributed import Ranks
from train.ranks.failures import failing_together
from train.ranks.stopping import StopRequest, TrainingStopped


def check_session(settings: SessionSettings, ranks: Ranks) -> None:
    """Look at the shards, and overfit two batches of them; leaves nothing behind.

    Raises:
        InputError: what is wrong.
    """
    if ranks.count > 1:
        raise InputError("--check runs in one process; leave torchrun out")
    settings, train_shards, val_shards = open_sets(settings, ranks)
    settings = fitted(settings, train_shards, val_shards, ranks)
    print(*start_summary(settings, train_shards, val_shards, ranks), sep="\n", file=sys.stderr, flush=True)
    trainer = Trainer(_new_model(settings, train_shards, ranks), settings.step, settings.optimizer, ranks)
    print(check_training(settings, trainer, train_shards, val_shards))


def train_command(options: Mapping[str, Any]) -> int:
    """Run what `train` was asked for; returns the exit status.

    Raises:
        InputError: an option or an input file is wrong, or memory is too small.
    """
    ranks = distributed.start(options["device"])
    try:
        settings = session_settings(options, ranks.device.type == "cuda")
        advice = smaller_batches(settings.loader.batch_size, settings.step.accumulate_grad_batches)
        with failing_together(ranks), enough_memory(advice):
            if options["check"]:
                check_session(settings, ranks)
                return 0
            finished = run_session(settings, ranks, options["resume"])
    finally:
        distributed.stop()
    if not finished and ranks.first:
        last = settings.run_dir / LAST
        print(f"stopped; {last} is written, and the same command with --resume goes on from here", file=sys.stderr)
    return 0


def run_session(settings: SessionSettings, ranks: Ranks, resume: bool) -> bool:
    """Train; returns whether it ran to its end (False: a signal stopped it, and `--resume` goes on).

    Raises:
        InputError: shards, checkpoint and settings do not go together; the run folder is in use.
    """
    settings, train_shards, val_shards = open_sets(settings, ranks)
    settings = fitted(settings, train_shards, val_shards, ranks)
    pin, reader = ranks.device.type == "cuda", stream_of(settings.model.name).reader
    train_loader = make_loader(train_shards, settings.loader, reader, True, pin)
    val_loader = make_loader(val_shards, settings.loader, reader, False, pin) if val_shards else None
    if not len(train_loader):
        raise InputError(f"{train_shards.source}: {len(train_shards)} samples are fewer than {ranks.count} processes")
    check_folder(settings.run_dir, resume)
    with lock_folder(settings.run_dir, ranks):
        session = _begin(settings, train_shards, val_shards, ranks, resume)
        if ranks.first:
            print(*start_summary(settings, train_shards, val_shards, ranks), sep="\n", file=sys.stderr, flush=True)
        if ranks.first and val_loader is None:
            print("note: without --val-shards there is no validation, no best.pt, no early stopping", file=sys.stderr)
        return session.run(train_loader, val_loader)


def _begin(settings: SessionSettings, shards: ShardSet, val: ShardSet | None, ranks: Ranks, resume: bool) -> "Session":
    """A session at the start of a run, or where its last checkpoint was written."""
    checkpoint = open_folder(settings.run_dir, resume)
    model = _new_model(settings, shards, ranks, resumed=checkpoint is not None)
    trainer = Trainer(model, settings.step, settings.optimizer, ranks)
    if checkpoint is not None:
        restore(trainer, checkpoint, settings, shards, val)
    if ranks.first:
        prepare_folder(settings.run_dir, describe(settings, ranks))
    return Session(settings, trainer, shards, val)


def _new_model(settings: SessionSettings, shards: ShardSet, ranks: Ranks, resumed: bool = False) -> AnyModel:
    """A model as a run starts with it; of one that goes on, the weights are still to come."""
    # The same start on every rank: the averaged model is not sent from rank to rank.
    torch.manual_seed(settings.step.seed)
    model = stream_of(settings.model.name).build(settings.model, settings.loader.recipe)
    if settings.cnn_weights != "none" and not resumed:
        load_imagenet(model, settings.cnn_weights)
    freeze(model, settings.freeze_layers)
    if settings.init and not resumed:
        dataset = shards.dataset
        taken = take_weights(model, settings.init, dataset.classes, dataset.settings.get("estimator"))
        if ranks.first:
            print(*taken, sep="\n", file=sys.stderr)
    return model


class Session:
    """Epochs of a trainer, and the checkpoints between them."""

    def __init__(
        self, settings: SessionSettings, trainer: Trainer, shards: ShardSet, val_shards: ShardSet | None
    ) -> None:
        self.settings, self.trainer, self.ranks = settings, trainer, trainer.ranks
        self.shards, self.val_shards = shards, val_shards

    def run(self, train_loader: Loader, val_loader: Loader | None) -> bool:
        """Train to the last epoch, or until validation no longer gains; False when a signal stops it."""
        progress = self.trainer.progress
        if progress.epoch >= self.settings.optimizer.max_epochs:
            self._say(f"all {progress.epoch} epochs are done; a larger --max-epochs goes on")
        log = RunLog(self.settings.run_dir, progress.epoch) if self.ranks.first else None
        # The last checkpoint is written in here, too: a second signal must not end the process meanwhile.
        with StopRequest(self.ranks) as stop:
            try:
                while not self._finished(val_loader is not None):
                    row = self._epoch(train_loader, val_loader, stop)
                    # Ahead of the checkpoint: killed between the two, a run that goes on logs the epoch again.
                    if log is not None:
                        log.add(row)
                    self._end_epoch(row)
            except TrainingStopped:
                self.write(LAST)
                return False
            finally:
                if log is not None:
                    log.close()
        return True

    def _epoch(self, train_loader: Loader, val_loader: Loader | None, stop: StopRequest) -> dict[str, float]:
        """Train and validate; returns the epoch's figures."""
        trainer = self.trainer
        row = trainer.train_epoch(train_loader, stop, lambda: self.write(LAST), self.settings.checkpoint_steps)
        if val_loader is not None:
            row |= {f"val_{name}": value for name, value in trainer.evaluate(val_loader, stop).items()}
        return row | {"epoch": trainer.progress.epoch + 1, "learning_rate": trainer.optimizer.param_groups[0]["lr"]}

    def _finished(self, validated: bool) -> bool:
        progress = self.trainer.progress
        if validated and progress.epochs_without_gain >= self.settings.patience:
            self._say(f"validation loss has not fallen for {progress.epochs_without_gain} epochs: stopping early")
            return True
        return progress.epoch >= self.settings.optimizer.max_epochs

    def _end_epoch(self, row: dict[str, float]) -> None:
        """Count the epoch, and write checkpoints."""
        if not (self.settings.run_dir / LAST).exists():
            # Killed between the first best.pt and it, a run would look like one that has lost its last.pt.
            self.write(LAST)
        progress, best = self.trainer.progress, False
        if "val_loss" in row:
            top1, loss = row["val_top1"], row["val_loss"]
            best = (top1, -loss) > (progress.best_top1, -progress.best_loss_of_top1)
            if best:
                progress.best_top1, progress.best_loss_of_top1 = top1, loss
            progress.epochs_without_gain = 0 if loss < progress.best_loss else progress.epochs_without_gain + 1
            progress.best_loss = min(progress.best_loss, loss)
        progress.epoch, progress.position, progress.sums = progress.epoch + 1, 0, [0.0, 0.0, 0.0]
        if best:
            self.write(BEST)
        if self.settings.keep_every and progress.epoch % self.settings.keep_every == 0:
            self.write(f"epoch-{progress.epoch:04d}.pt")
        self.write(LAST)
        figures = [f"{name[4:]} {value:.4f}" for name, value in row.items() if name.startswith("val_")]
        if figures:
            self._say(f"validation  {'  '.join(figures)}{'  (best)' if best else ''}")

    def _say(self, line: str) -> None:
        if self.ranks.first:
            print(line, file=sys.stderr, flush=True)

    def write(self, name: str) -> None:
        """Write a checkpoint of where we are; the first rank does."""
        if not self.ranks.first:
            return
        settings, trainer, average = self.settings, self.trainer, self.trainer.average
        model = trainer.model if average is None else average.module
        # best.pt is for prediction; what resuming needs would make it three times as large.
        training = {} if name == BEST else training_state(trainer, settings, self.shards, self.val_shards)
        if name == LAST:
            keep_last(settings.run_dir)
        checkpoint = Checkpoint(
            model.state_dict(),
            settings.model,
            settings.loader.recipe,
            settings.loader.window,
            settings.step.image_size,
            self.shards.dataset.classes,
            training,
            self.shards.dataset.settings.get("estimator"),
            int(np.median(self.shards.frames)),
        )
        checkpoint.write(settings.run_dir / name)
