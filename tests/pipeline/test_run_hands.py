"""Hands that are found in some frames only: from keypoints through `pipeline run` and shards to what the model sees."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from helpers.data.clip_making import make_clip, moving_keypoints, run_pipeline, write_keypoints

from pipeline.cli import main as pipeline_command
from shards.cli import main as shards_command
from shards.commands.verify import verify
from shards.format.recipe import DEFAULT, Recipe
from shards.format.shardset import ShardSet, open_shards
from train.crops.crop_batch import CropReader
from train.data.shard_dataset import LoaderSettings
from train.data.views import EVALUATION
from train.data.window import Window

FRAMES = 20
# Of clip "some", the frames with points on the fingers of the right hand; the wrist is lost in frames 10 and 11.
FOUND = (2, 3, 9, 17)
LEFT, RIGHT = slice(25, 45), slice(45, 65)
CLIPS = ("signer0_all", "signer0_some", "signer0_none")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """Three clips, whose hands are found in all frames, in some (the right one), and in none."""
    root = tmp_path_factory.mktemp("hands")
    (root / "mp4" / "train").mkdir(parents=True)
    for number, name in enumerate(CLIPS):
        make_clip(ffmpeg, root / "mp4" / "train" / f"{name}_color.mp4", FRAMES)
        keypoints = moving_keypoints(FRAMES, number)
        if name == "signer0_some":
            keypoints[np.isin(np.arange(FRAMES), FOUND, invert=True), RIGHT] = 0
        if name == "signer0_none":
            keypoints[:, LEFT] = 0
            keypoints[:, RIGHT, 2] = 0.02  # as OpenPose writes a hand that it does not see
        write_keypoints(root / "kp" / f"{name}_color.kp", f"{name}_color", keypoints)
    (root / "labels.csv").write_text("".join(f"{name},{number}\n" for number, name in enumerate(CLIPS)))
    return root


@pytest.fixture(scope="module")
def work(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    assert run_pipeline(clips, work) == 0
    return work


def tracks(work: Path) -> dict[str, dict]:
    """By clip what its JSON says of the hands."""
    found = {}
    with tarfile.open(work / "shards" / "train-000.tar") as tar:
        for member in tar:
            if member.name.endswith(".json"):
                found[member.name.partition(".")[0]] = json.load(tar.extractfile(member))["hands"]
    return found


def test_the_json_says_it_frame_by_frame(work: Path) -> None:
    hands = tracks(work)
    lost = [int(frame in (10, 11)) for frame in range(FRAMES)]
    nothing, rest = [0] * FRAMES, [1 - flag for flag in lost]
    some = [int(frame not in (*FOUND, 10, 11)) for frame in range(FRAMES)]
    for name, left, right in zip(CLIPS, (nothing, nothing, [1] * FRAMES), (nothing, some, rest), strict=True):
        assert [hands[name][hand]["guessed"] for hand in ("left", "right")] == [left, right]
        assert [hands[name][hand]["missing"] for hand in ("left", "right")] == [nothing, lost]
        assert list(hands[name]["left"]) == ["boxes", "missing", "guessed", "jpegs"]


def test_the_index_counts_it_and_verify_agrees(work: Path) -> None:
    rows = {row["id"]: row for row in pq.read_table(work / "shards" / "train.parquet").to_pylist()}
    names = ("left_guessed", "left_missing", "right_guessed", "right_missing")
    counts = {name: [rows[name][column] for column in names] for name in CLIPS}
    assert counts == {"signer0_all": [0, 0, 0, 2], "signer0_some": [0, 0, 14, 2], "signer0_none": [20, 0, 18, 2]}
    assert verify(work / "shards", full=True, jobs=1).faults == []


def test_the_reference_recipe_writes_what_it_ever_did(clips: Path, tmp_path: Path) -> None:
    """The places that guessed hands could touch; see `test_recipe` for the recipe's JSON."""
    assert run_pipeline(clips, tmp_path / "work", "--recipe", "reference") == 0
    for hands in tracks(tmp_path / "work").values():
        assert [list(hands[hand]) for hand in ("left", "right")] == [["boxes", "missing", "jpegs"]] * 2
    assert not [name for name in pq.read_schema(tmp_path / "work/shards/train.parquet").names if "guessed" in name]
    dataset = json.loads((tmp_path / "work/shards/dataset.json").read_text())
    assert list(dataset["recipe"]) == ["name", "quirks"]
    assert "guessed_hands_shown" not in dataset["recipe"]["quirks"]


def seen(shards: ShardSet, recipe: Recipe) -> dict[str, torch.Tensor]:
    """By clip the crops of all frames as the model gets them, float32 (T, 2, 3, 64, 64)."""
    reader = CropReader(shards, LoaderSettings(Window(FRAMES, 1), recipe))
    batch = reader.read([*range(len(shards))], [EVALUATION] * len(shards), len(shards), None).map(torch.from_numpy)
    crops, _ = batch.inputs(64, training=False)
    reader.close()
    return dict(zip(shards.ids.to_pylist(), crops, strict=True))


def test_the_model_sees_the_nearest_found_hand(work: Path) -> None:
    shards = open_shards(str(work / "shards"))
    cut, shown = seen(shards, replace(DEFAULT, guessed_hands_shown=True)), seen(shards, DEFAULT)
    assert shards.dataset.recipe == DEFAULT
    for name in ("signer0_all", "signer0_none"):
        assert torch.equal(shown[name], cut[name])  # nothing to replace, or nothing to replace it by
    some, before = shown["signer0_some"], cut["signer0_some"]
    assert torch.equal(some[:, 0], before[:, 0])
    for frame in range(FRAMES):
        source = min(FOUND, key=lambda found, frame=frame: (abs(found - frame), found))
        assert torch.equal(some[frame, 1], before[source, 1])
        if frame not in (10, 11):  # a missing hand has the crop of its neighbor in the shards already
            assert torch.equal(some[frame, 1], before[frame, 1]) == (frame == source)


def test_summary_status_and_list_show_the_shares(clips: Path, work: Path, tmp_path: Path, capsys) -> None:
    assert run_pipeline(clips, tmp_path / "work") == 0
    summary = capsys.readouterr().out
    status = CliRunner().invoke(pipeline_command, ["status", "--work", str(work)]).stdout
    listing = CliRunner().invoke(shards_command, ["list", str(work / "shards")]).stdout
    # Left: 60 frames, 20 of them guessed. Right: 18 + 4 found, 14 + 18 guessed, 3 × 2 missing.
    shares = ["67", "%", "33", "%", "0", "%", "37", "%", "53", "%", "10", "%"]
    worst = "in 1 of 3 clips neither hand is found in half of the frames: signer0_none (found: left 0 %, right 0 %)"
    for text, name in ((summary, "all clips"), (status, "all clips"), (listing, "train")):
        [line] = [line for line in text.splitlines() if line.startswith(name) and "%" in line]
        assert line.removeprefix(name).split() == shares
        assert worst in text.splitlines()
    value = json.loads(CliRunner().invoke(pipeline_command, ["status", "--work", str(work), "--json"]).stdout)
    assert value["hands"] == {
        "clips": 3,
        "left": {"found": 40, "guessed": 20, "missing": 0},
        "right": {"found": 22, "guessed": 32, "missing": 6},
    }


def test_inspect_begins_with_the_worst_clip_and_marks_guesses(work: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = CliRunner().invoke(shards_command, ["inspect", str(work / "shards"), "--out", str(page)])
    assert result.exit_code == 0
    text = page.read_text()
    places = [text.index(f'<section class="sample" id="{name}">') for name in reversed(CLIPS)]
    assert places == sorted(places)
    assert text.count('<td class="guessed">') == sum(
        track[hand]["guessed"][frame]
        for track in tracks(work).values()
        for hand in ("left", "right")
        for frame in np.linspace(0, FRAMES - 1, 12).round().astype(int).tolist()
    )
    assert "guessed, dimmed" in text
