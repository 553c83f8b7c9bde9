"""What runs on a GPU only, against the same on the CPU."""

import pytest
import torch

import train.models.attention
from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropReader
from train.data.feeding import batches_on
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window
from train.fit.guards import FiniteWatch
from train.fit.optimizer import OptimizerSettings
from train.fit.trainer import StepSettings, Trainer
from train.models.vtn import VTN, ModelSettings
from train.ranks.distributed import Ranks
from train.ranks.stopping import StopRequest

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")

CPU, CUDA = (Ranks(0, 1, torch.device(name)) for name in ("cpu", "cuda:0"))


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Without dropout, whose random numbers are others on a GPU, and without cuDNN's TF32, of 10 bits of mantissa."""
    monkeypatch.setattr(train.models.attention, "DROPOUT", 0.0)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def trainer_on(ranks: Ranks, precision: str = "fp32") -> Trainer:
    torch.manual_seed(0)
    settings = ModelSettings("VTN_HCPF_D", 3, "small", sequence_length=4, num_layers=1, num_heads=2, embed_size=16)
    step = StepSettings(image_size=32, accumulate_grad_batches=2, precision=precision)
    # Adam divides by the gradient's own size: where that is rounding, a higher rate would move weights apart.
    return Trainer(VTN(settings, DEFAULT), step, OptimizerSettings(learning_rate=1e-5), ranks)


def loader_of(folder, ranks: Ranks, training: bool):
    shards = open_shards(f"{folder}/{'train' if training else 'val'}-*.tar")
    settings = LoaderSettings(Window(4, 2), DEFAULT, with_depth=True, batch_size=3, num_workers=2)
    return make_loader(shards, settings, CropReader, training, pin=ranks.device.type == "cuda")


@pytest.fixture
def shards(made):
    return made(splits={"train": 13, "val": 5}, depth=True)


def test_batches_arrive_as_the_workers_made_them(shards):
    """Pinned, copied on a stream of their own while the one before is worked on."""
    pairs = zip(
        batches_on(loader_of(shards, CPU, training=True), CPU.device),
        batches_on(loader_of(shards, CUDA, training=True), CUDA.device),
        strict=True,
    )
    seen = []
    for here, there in pairs:
        torch.cuda._sleep(50_000_000)  # cycles: the GPU is still busy when the next batch is copied
        assert here.ids == there.ids
        for name in ("pose", "labels", "mirrored", "light"):
            assert getattr(there, name).device == CUDA.device
            assert torch.equal(getattr(there, name).cpu(), getattr(here, name)), name
        for clip in ("color", "depth"):
            for name, expected in vars(getattr(here, clip)).items():
                found = getattr(getattr(there, clip), name)
                assert torch.equal(found.cpu(), expected), (clip, name)
        seen += here.ids
    assert len(set(seen)) == 13


def test_an_epoch_is_that_of_the_cpu(shards):
    found = []
    for ranks in (CPU, CUDA):
        trainer = trainer_on(ranks)
        start = {name: value.clone().cpu() for name, value in trainer.model.state_dict().items()}
        with StopRequest(ranks) as stop:
            row = trainer.train_epoch(loader_of(shards, ranks, training=True), stop, lambda: None, 0)
            row |= trainer.evaluate(loader_of(shards, ranks, training=False), stop)
        assert {value.device for value in trainer.model.state_dict().values()} == {ranks.device}
        assert trainer.progress.step == 3
        moved = {name: value.cpu() - start[name] for name, value in trainer.model.state_dict().items()}
        found.append(({name: row[name] for name in ("train_loss", "loss")}, moved))
    (expected, ways), (figures, others) = found
    assert figures == pytest.approx(expected, rel=1e-3)
    for name, way in ways.items():
        if "running" in name:  # statistics of batch norm
            torch.testing.assert_close(others[name], way, atol=1e-3, rtol=1e-2, msg=name)
    # The first steps of Adam are signs of gradients; where one is all but 0, rounding decides it. Measured between two
    # implementations of convolution on a CPU: 0.9992.
    way, other = (
        torch.cat([part[name].flatten() for name in ways if "running" not in name and "num_batches" not in name])
        for part in (ways, others)
    )
    assert torch.nn.functional.cosine_similarity(way, other, dim=0) > 0.9


def test_a_step_in_bf16(shards):
    """Close to fp32 and not the same; weights and what Adam keeps stay float32."""
    losses = []
    for precision in ("fp32", "bf16"):
        trainer = trainer_on(CUDA, precision)
        trainer.model.train()
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        batches = batches_on(loader_of(shards, CUDA, training=True), CUDA.device)
        sums = trainer.train_step([next(batches), next(batches)], 2)
        batches.close()
        trainer._watch.check(last=True)
        assert sums[2].item() == 6
        losses.append(sums[0].item() / 6)
        assert {value.dtype for value in trainer.model.parameters()} == {torch.float32}
        kept = [value for state in trainer.optimizer.state.values() for value in state.values()]
        assert {value.dtype for value in kept} == {torch.float32}
        moved = [name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])]
        assert any(name.startswith("feature_extractor.") for name in moved)
        assert any(name.startswith("classifier.") for name in moved)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_value_that_is_not_finite_is_found_without_waiting_for_the_gpu():
    watch = FiniteWatch(CUDA.device)
    good, bad = (torch.tensor(value, device=CUDA.device) for value in (1.0, float("nan")))
    watch.note(good, ["z"])
    watch.check(last=True)  # and memory for the copy is there: making some would wait
    torch.cuda._sleep(1_000_000_000)  # cycles, about half a second
    watch.note(bad, ["a", "b"])
    watch.check()  # it is not known yet
    with pytest.raises(InputError, match=r"not finite \(nan\) at the batch of a, b;"):
        watch.check(last=True)
