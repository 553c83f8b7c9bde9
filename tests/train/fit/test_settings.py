from pathlib import Path

from helpers.processes.train_runs import tiny_options

from shards.format.recipe import DEFAULT
from shards.remote.cache import CacheSettings
from train.cli import main
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window
from train.fit.optimizer import OptimizerSettings
from train.fit.settings import SessionSettings, session_settings
from train.fit.trainer import StepSettings
from train.models.vtn import ModelSettings

# Every option, with a value that is neither its default nor another option's.
ALL = tiny_options(
    "--shards T.tar --val-shards V.tar --run-dir R --recipe reference --cnn-weights W.pth",
    "--model VTN_HCPF_D --cnn rn18 --sequence-length 12 --temporal-stride 3 --num-layers 6 --num-heads 7",
    "--embed-size 21 --dropout 0.11 --image-size 96 --freeze-layers 5 --batch-size 9 --accumulate-grad-batches 13",
    "--gradient-clip-val 0.17 --learning-rate 0.19 --weight-decay 0.23 --schedule cosine --lr-step-size 14",
    "--warmup-epochs 15 --label-smoothing 0.29 --ema-decay 0.31 --max-epochs 16 --patience 17 --num-workers 18",
    "--seed 19 --precision bf16 --compile --keep-every 20 --checkpoint-steps 22 --cache C --cache-gb 23.5",
    "--init I.pt --fold-file F.csv --test-fold 25 --val-fold 26",
)
NOT_SETTINGS = {"resume": False, "check": False, "device": None}  # what a run is begun with, and not what it is


def test_every_option_arrives_where_it_belongs():
    given = main.make_context("train", list(ALL)).params
    defaults = main.make_context("train", ["--shards", "S", "--run-dir", "."]).params
    assert {name for name, value in given.items() if value == defaults[name]} == NOT_SETTINGS.keys()
    assert session_settings(given, on_gpu=False) == SessionSettings(
        shards=("T.tar",),
        val_shards=("V.tar",),
        run_dir=Path("R"),
        recipe="reference",
        model=ModelSettings(
            name="VTN_HCPF_D",
            num_classes=1,  # until the shards have said it
            cnn="rn18",
            sequence_length=12,
            num_layers=6,
            num_heads=7,
            embed_size=21,
            dropout=0.11,
        ),
        loader=LoaderSettings(Window(length=12, stride=3), DEFAULT, batch_size=9, num_workers=18, seed=19),
        step=StepSettings(
            image_size=96,
            accumulate_grad_batches=13,
            gradient_clip_val=0.17,
            label_smoothing=0.29,
            precision="bf16",
            compiled=True,
            seed=19,
        ),
        optimizer=OptimizerSettings(
            learning_rate=0.19,
            weight_decay=0.23,
            schedule="cosine",
            lr_step_size=14,
            warmup_epochs=15,
            max_epochs=16,
            ema_decay=0.31,
        ),
        cnn_weights="W.pth",
        freeze_layers=5,
        init=Path("I.pt"),
        fold_file=Path("F.csv"),
        test_fold="25",
        val_fold="26",
        patience=17,
        keep_every=20,
        checkpoint_steps=22,
        cache=CacheSettings(Path("C"), 23.5),
    )


def test_precision_without_the_option_is_the_devices():
    options = main.make_context("train", ["--shards", "S", "--run-dir", "."]).params
    assert [session_settings(options, on_gpu).step.precision for on_gpu in (False, True)] == ["fp32", "bf16"]


def test_with_init_the_resnet_of_imagenet_is_taken_only_where_it_is_asked_for():
    for more, wanted in (([], "imagenet"), (["--init", "I.pt"], "none"), (["--init", "I.pt", "--weights", "W"], "W")):
        given = main.make_context("train", ["--shards", "S", "--run-dir", ".", *more]).params
        assert session_settings(given, on_gpu=False).cnn_weights == wanted
