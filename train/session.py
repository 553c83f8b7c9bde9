"""A training run: its folder, its epochs, its checkpoints, and going on after an interruption."""

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from shards.errors import InputError
from shards.files import remove_leftovers, whole_file, write_whole
from shards.shardset import ShardSet, open_shards
from train.checkpoint import Checkpoint, read_checkpoint
from train.distributed import Ranks
from train.loader import LoaderSettings, make_loader
from train.loop import Progress, Stopped, Trainer
from train.optimisation import OptimiserSettings
from train.runlog import RunLog
from train.stopping import StopRequest
from train.vtn import VTN, ModelSettings, freeze, load_imagenet

CONFIG, LAST, PREVIOUS, BEST = "config.json", "last.pt", "previous.pt", "best.pt"


@dataclass(frozen=True)
class SessionSettings:
    """What `train` was asked for; `config.json` keeps it."""

    shards: str
    val_shards: str | None
    run_dir: Path
    model: ModelSettings  # num_classes is taken from the shards
    loader: LoaderSettings
    optimiser: OptimiserSettings
    image_size: int
    weights: str  # "imagenet", "none", or a file
    freeze_layers: int
    patience: int
    precision: str
    compiled: bool
    keep_every: int
    checkpoint_steps: int


def run_session(settings: SessionSettings, ranks: Ranks, resume: bool) -> bool:
    """Train; returns whether it ran to its end (False: a signal stopped it, and `--resume` goes on).

    Raises:
        InputError: shards, checkpoint and settings do not go together; the run folder is in use.
    """
    train_shards = open_shards(settings.shards)
    val_shards = open_shards(settings.val_shards) if settings.val_shards else None
    settings = _fitted(settings, train_shards, val_shards, ranks)
    model = VTN(settings.model, settings.loader.recipe)
    checkpoint = _opened_folder(settings, resume, ranks)
    if checkpoint is None and settings.weights != "none":
        load_imagenet(model, settings.weights)
    freeze(model, settings.freeze_layers)
    trainer = Trainer(model, settings.optimiser, ranks, settings.image_size, settings.precision, settings.compiled)
    session = Session(settings, trainer.seeded(settings.loader.seed), train_shards.dataset.classes, ranks)
    if checkpoint is not None:
        session.restore(checkpoint)
    pin = ranks.device.type == "cuda"
    loaders = [
        make_loader(shards, settings.loader, training=number == 0, pin=pin) if shards is not None else None
        for number, shards in enumerate((train_shards, val_shards))
    ]
    if not len(loaders[0]):
        raise InputError(f"{settings.shards}: {len(train_shards)} samples are fewer than {ranks.count} processes")
    return session.run(*loaders)


def _fitted(settings: SessionSettings, train: ShardSet, val: ShardSet | None, ranks: Ranks) -> SessionSettings:
    """The settings with what the shards say: classes and recipe; InputError where train and val do not fit together."""
    dataset = train.dataset
    if val is not None and (val.dataset.recipe, val.dataset.classes) != (dataset.recipe, dataset.classes):
        raise InputError(f"{settings.val_shards}: recipe or classes differ from those of {settings.shards}")
    for shards in filter(None, (train, val)):
        if (shards.labels < 0).any():
            lacking = shards.ids[int((shards.labels < 0).argmax())]
            raise InputError(f"{shards.source}: sample {lacking} has no label; run the pipeline with --labels")
        if shards.labels.max() >= len(dataset.classes):
            raise InputError(
                f"{shards.source}: a label is {shards.labels.max()}, but there are {len(dataset.classes)} classes"
            )
    loader = replace(
        settings.loader,
        recipe=dataset.recipe,
        with_depth=settings.model.with_depth,
        rank=ranks.rank,
        ranks=ranks.count,
    )
    return replace(settings, model=replace(settings.model, num_classes=len(dataset.classes)), loader=loader)


def _opened_folder(settings: SessionSettings, resume: bool, ranks: Ranks) -> Checkpoint | None:
    """Make the run folder, or, with `resume`, read its last checkpoint."""
    last = settings.run_dir / LAST
    if resume and not (settings.run_dir / CONFIG).exists():
        raise InputError(f"{settings.run_dir}: no run to resume; leave --resume out, or give another --run-dir")
    if resume and last.exists():
        try:
            checkpoint = read_checkpoint(last)
        except InputError as error:
            previous = settings.run_dir / PREVIOUS
            hint = f"; `mv {previous} {last}` goes on from the one before it" if previous.exists() else ""
            raise InputError(f"{error.message}{hint}") from error
        _same(settings, checkpoint, last)
        return checkpoint
    if last.exists():
        raise InputError(
            f"{settings.run_dir}: holds a run already; give --resume to go on with it, or another --run-dir"
        )
    if ranks.first:
        try:
            settings.run_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{settings.run_dir}: cannot be made ({error.strerror}); give another --run-dir"
            ) from error
        remove_leftovers(settings.run_dir)
        write_whole(settings.run_dir / CONFIG, json.dumps(describe(settings, ranks), indent=1).encode())
    return None


def _same(settings: SessionSettings, checkpoint: Checkpoint, path: Path) -> None:
    """InputError when a checkpoint was made with a model, recipe or data that the settings do not have."""
    told = {
        "model settings": (checkpoint.model_settings, settings.model),
        "recipe": (checkpoint.recipe, settings.loader.recipe),
        "window": (checkpoint.window, settings.loader.window),
        "image size": (checkpoint.image_size, settings.image_size),
        "seed": (checkpoint.training.get("seed"), settings.loader.seed),
    }
    for name, (then, now) in told.items():
        if then != now:
            raise InputError(f"{path}: was trained with {name} {then}, now it is {now}; resume with the same options")


def describe(settings: SessionSettings, ranks: Ranks) -> dict[str, Any]:
    """What `config.json` holds: the settings, the command line, versions and the state of the source."""
    settings_json = json.loads(json.dumps(asdict(settings), default=str))
    settings_json["loader"]["recipe"] = settings.loader.recipe.to_json()
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "command": sys.argv,
        "settings": settings_json,
        "processes": ranks.count,
        "device": torch.cuda.get_device_name() if ranks.device.type == "cuda" else platform.processor() or "cpu",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "git": git.stdout.strip() or None,
    }


class Session:
    """Epochs of a trainer, and the checkpoints between them."""

    def __init__(self, settings: SessionSettings, trainer: Trainer, classes: list[str], ranks: Ranks) -> None:
        self.settings, self.trainer, self.classes, self.ranks = settings, trainer, classes, ranks
        self.stop = StopRequest(ranks)

    def run(self, train_loader: torch.utils.data.DataLoader, val_loader: torch.utils.data.DataLoader | None) -> bool:
        """Train to the last epoch, or until validation no longer gains; False when a signal stops it."""
        at = self.trainer.progress
        log = RunLog(self.settings.run_dir, at.epoch) if self.ranks.first else None
        try:
            while at.epoch < self.settings.optimiser.max_epochs:
                row = self.trainer.train_epoch(
                    train_loader, self.stop, lambda: self.write(LAST), self.settings.checkpoint_steps
                )
                row |= self._validated(val_loader)
                row |= {"epoch": at.epoch, "learning_rate": self.trainer.optimiser.param_groups[0]["lr"]}
                if log is not None:
                    log.add(row)
                if self._end_epoch(row, val_loader is not None):
                    break
        except Stopped:
            self.write(LAST)
            return False
        finally:
            if log is not None:
                log.close()
        return True

    def _validated(self, loader: torch.utils.data.DataLoader | None) -> dict[str, float]:
        if loader is None:
            return {}
        figures = {f"val_{name}": value for name, value in self.trainer.evaluate(loader, self.stop).items()}
        if self.ranks.first:
            print("  ".join(f"{name} {value:.4f}" for name, value in figures.items()), file=sys.stderr, flush=True)
        return figures

    def _end_epoch(self, row: dict[str, float], validated: bool) -> bool:
        """Count the epoch, write checkpoints; whether it is time to stop early."""
        at = self.trainer.progress
        best = validated and (row["val_top1"], -row["val_loss"]) > (at.best_top1, -at.best_loss_of_top1)
        if best:
            at.best_top1, at.best_loss_of_top1 = row["val_top1"], row["val_loss"]
        if validated:
            at.epochs_without_gain = 0 if row["val_loss"] < at.best_loss else at.epochs_without_gain + 1
            at.best_loss = min(at.best_loss, row["val_loss"])
        at.epoch, at.position, at.sums = at.epoch + 1, 0, [0.0, 0.0, 0.0]
        if best:
            self.write(BEST)
        if self.settings.keep_every and at.epoch % self.settings.keep_every == 0:
            self.write(f"epoch-{at.epoch:04d}.pt")
        self.write(LAST)
        stuck = validated and at.epochs_without_gain >= self.settings.patience
        if stuck and self.ranks.first:
            print(f"validation loss has not fallen for {at.epochs_without_gain} epochs: stopping", file=sys.stderr)
        return stuck

    def write(self, name: str) -> None:
        """Write a checkpoint of where we are; the first rank does."""
        if not self.ranks.first:
            return
        at, trainer, average = self.settings, self.trainer, self.trainer.average
        model = trainer.model if average is None else average.module
        # best.pt is for prediction; what resuming needs would make it three times as large.
        training = {} if name == BEST else self._training_state()
        path = at.run_dir / name
        if name == LAST and path.exists():
            with whole_file(at.run_dir / PREVIOUS) as temporary:
                temporary.hardlink_to(path)
        Checkpoint(
            model.state_dict(), at.model, at.loader.recipe, at.loader.window, at.image_size, self.classes, training
        ).write(path)

    def _training_state(self) -> dict[str, Any]:
        trainer, average = self.trainer, self.trainer.average
        return {
            "progress": asdict(trainer.progress),
            "optimiser": trainer.optimiser.state_dict(),
            "weights": None if average is None else trainer.model.state_dict(),
            "averaged": None if average is None else int(average.n_averaged),
            "seed": self.settings.loader.seed,
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint was written."""
        trainer, kept = self.trainer, checkpoint.training
        if checkpoint.classes != self.classes:
            raise InputError(f"{self.settings.shards}: its classes are not those of the checkpoint")
        trainer.model.load_state_dict(kept["weights"] or checkpoint.model)
        if trainer.average is not None:
            trainer.average.module.load_state_dict(checkpoint.model)
            trainer.average.n_averaged.fill_(kept["averaged"])
        trainer.optimiser.load_state_dict(kept["optimiser"])
        trainer.progress = Progress(**kept["progress"])
