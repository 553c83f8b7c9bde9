"""Attacks on everything that is read: flipped bytes, inputs of other forms, kills, stops, full disks.

Slow: `pytest -m slow -s tests/test_reliability.py` prints the counts that `docs/reliability.md` shows. The bytes and
mutations are drawn with a fixed seed.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.data.shard_making import Plan, make_shards
from helpers.processes.forked import Ended, forked
from helpers.processes.pipeline_runs import ROOT, command, digests, processes_of, wait_until

# What the commands import when they run: once here, not in every child.
import pipeline.run
import shards.commands.inspect
import shards.commands.reshard
import shards.commands.split
import shards.commands.verify
from pipeline.cli import main as pipeline
from shards.cli import main as shards
from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.format.index import read_index

pytestmark = pytest.mark.slow
_MOST_MEGABYTES = 1500
# Between them lie all kinds of damage: a bad disk, a bad copy, another program.
_FLIPS = {"tars": 60, "indexes": 40, "dataset.json": 100, "ledgers": 30, "results": 20, "notes": 10, "checkpoints": 20}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard set of noise, with depth. Read only."""
    plan = Plan({"train": 4, "val": 2}, depth=True, per_shard=2)
    return make_shards(tmp_path_factory.mktemp("made") / "set", plan)


@pytest.fixture
def counts() -> Iterator[Counter[str]]:
    """What came of a test's attacks; printed at its end."""
    counted: Counter[str] = Counter()
    yield counted
    for line, count in sorted(counted.items()):
        print(f"\n{count:>5}  {line}", end="")


def flip(path: Path, random_: random.Random) -> None:
    """Change one byte of a file; size and time stay."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[random_.randrange(len(data))] ^= random_.randrange(1, 256)
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def refused(ended: Ended) -> bool:
    """Whether a command said that something is wrong; AssertionError where it did so as none may."""
    assert not ended.fault, ended
    assert ended.megabytes < _MOST_MEGABYTES, ended
    return ended.status != 0


def fresh(source: Path, folder: Path) -> Path:
    """A copy, with the times."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    return folder


def test_a_changed_byte_of_a_tar_is_found(made: Path, tmp_path: Path, counts: Counter[str]) -> None:
    random_ = random.Random(1)
    for _ in range(_FLIPS["tars"]):
        here = fresh(made, tmp_path / "set")
        flip(random_.choice(sorted(here.glob("*.tar"))), random_)
        assert refused(forked(shards, "verify", "--full", here, "--jobs", 1))
        counts["flipped bytes of tars found by `shards verify --full`"] += 1


def test_a_changed_byte_of_an_index_is_refused_or_means_nothing(
    made: Path, tmp_path: Path, counts: Counter[str]
) -> None:
    random_ = random.Random(2)
    for _ in range(_FLIPS["indexes"]):
        here = fresh(made, tmp_path / "set")
        path = random_.choice(sorted(here.glob("*.parquet")))
        flip(path, random_)
        seen = refused(forked(shards, "list", here))
        if not seen:  # Parquet's own statistics, which nobody reads
            assert read_index(path).equals(read_index(made / path.name))
        counts[f"flipped bytes of indexes {'refused' if seen else 'that change no row'}"] += 1


def test_a_changed_byte_of_dataset_json_is_refused_or_means_nothing(
    made: Path, tmp_path: Path, counts: Counter[str]
) -> None:
    random_ = random.Random(3)
    for _ in range(_FLIPS["dataset.json"]):
        here = fresh(made, tmp_path / "set")
        flip(here / "dataset.json", random_)
        seen = refused(forked(shards, "list", here))
        if not seen:  # white space, or the key of its checksum
            assert read_dataset(here) == read_dataset(made)
        counts[f"flipped bytes of dataset.json {'refused' if seen else 'that change no value'}"] += 1


def test_a_changed_byte_of_a_checkpoint_is_refused_or_means_nothing(
    made: Path, tmp_path: Path, counts: Counter[str]
) -> None:
    torch = pytest.importorskip("torch")
    from helpers.models.tiny_model import tiny_checkpoint

    from shards.errors import InputError
    from train.fit.checkpoint import read_checkpoint

    whole = tmp_path / "whole.pt"
    before = tiny_checkpoint(whole, ["class 0", "class 1", "class 2"])
    random_ = random.Random(4)
    for _ in range(_FLIPS["checkpoints"]):
        here = tmp_path / "flipped.pt"
        shutil.copy2(whole, here)
        flip(here, random_)
        try:
            after = read_checkpoint(here)
        except InputError:
            counts["flipped bytes of checkpoints refused"] += 1
            continue
        assert (after.model_settings, after.classes, after.window) == (
            before.model_settings,
            before.classes,
            before.window,
        )
        assert all(torch.equal(after.model[name], before.model[name]) for name in before.model)
        counts["flipped bytes of checkpoints that change nothing"] += 1


@pytest.fixture(scope="module")
def run_again(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], None]], Ended]:
    """Run the pipeline on a workspace that was whole before something was done to it: shards are to be as before, or
    something is said."""
    root = tmp_path_factory.mktemp("flips")
    work, kept = root / "work", root / "kept"
    options = ["run", "--data", tiny / "mp4", "--labels", tiny / "labels.csv", "--work", work]
    options += ["--keypoints", tiny / "kp", "--samples-per-shard", 3, "--jobs", 1]
    assert forked(pipeline, *options).status == 0
    shutil.copytree(work, kept)
    expected = digests(kept)

    def again(attack: Callable[[Path], None]) -> Ended:
        attack(fresh(kept, work))
        ended = forked(pipeline, *options)
        if not refused(ended):
            assert digests(work) == expected, ended
        assert not forked(pipeline, "status", "--work", work).fault
        return ended

    return again


def test_a_changed_byte_of_a_ledger_gives_no_other_shards(run_again, counts: Counter[str]) -> None:
    random_ = random.Random(5)
    for number in range(_FLIPS["ledgers"]):

        def attack(work: Path, number: int = number) -> None:
            flip(random_.choice(sorted((work / "ledger").glob("*.parquet"))), random_)
            if number % 2:  # so that everything after the damage is made again
                shutil.rmtree(work / "shards")
                (work / "ledger/shards.parquet").unlink()

        status = run_again(attack).status
        assert status in (0, 2)
        counts[f"flipped bytes of ledgers {'refused' if status else 'with the same shards after a run'}"] += 1


def test_a_changed_byte_of_a_result_gives_no_other_shards(run_again, counts: Counter[str]) -> None:
    random_ = random.Random(6)
    for _ in range(_FLIPS["results"]):

        def attack(work: Path) -> None:
            stage = random_.choice(["keypoints", "poseflow", "handcrops"])
            flip(random_.choice(sorted((work / stage).iterdir())), random_)
            for later in ["shards", "handcrops", "poseflow"][: 3 - ["handcrops", "poseflow", "keypoints"].index(stage)]:
                if later != stage:
                    (work / f"ledger/{later}.parquet").unlink()

        status = run_again(attack).status
        assert status in (0, 3)
        counts[f"flipped bytes of results {'named' if status else 'with the same shards after a run'}"] += 1


def test_a_changed_byte_of_a_note_gives_no_other_shards(made: Path, tmp_path: Path, counts: Counter[str]) -> None:
    random_ = random.Random(7)
    whole = tmp_path / "whole"
    options = ["--shards", made, "--samples-per-shard", 1, "--jobs", 1]
    assert forked(shards, "reshard", *options, "--out", whole).status == 0
    expected = {path.name: path.read_bytes() for path in whole.iterdir() if path.name[0] != "."}
    for _ in range(_FLIPS["notes"]):
        here = fresh(whole, tmp_path / "out")
        flip(here / ".reshard.jsonl", random_)
        (here / "dataset.json").unlink()  # it was killed before its end
        seen = refused(forked(shards, "reshard", *options, "--out", here))
        if not seen:
            assert {path.name: path.read_bytes() for path in here.iterdir() if path.name[0] != "."} == expected
        counts[f"flipped bytes of a reshard's notes {'refused' if seen else 'with the same shards after a run'}"] += 1


def mutated(data: bytes, random_: random.Random) -> bytes:
    """A text or binary file as no program should have written it."""
    place = random_.randrange(len(data) + 1)
    end = min(len(data), place + random_.randrange(1, 200))
    odd = [b"", b"\0", b"\xff\xfe", b"[" * 5000, b'"', b",", b"\n", b"-1", b"9" * 400, b"NaN", b"\x1b]0;x\x07", b"null"]
    return data[:place] + random_.choice([*odd, data[place:end] * 50, random_.randbytes(40)]) + data[end:]


def test_inputs_of_other_forms(tiny: Path, made: Path, tmp_path: Path, counts: Counter[str]) -> None:
    random_ = random.Random(8)
    clips = "id,split,signer,label,color\n" + "".join(
        f"{path.stem.removesuffix('_color')},train,s,{number},{path}\n"
        for number, path in enumerate(sorted((tiny / "mp4/train").glob("*_color.mp4"))[:2])
    )
    kp = sorted((tiny / "kp/train").iterdir())[0]
    clip = sorted((tiny / "mp4/train").glob("*_color.mp4"))[0]
    one = tmp_path / "one"
    (one / "train").mkdir(parents=True)
    (tmp_path / "clips.csv").write_text(clips)

    def labels(data: Path) -> Ended:
        return forked(shards, "split", "--labels", data, "--by", "sample", "--out", tmp_path / "split.csv")

    def clip_list(data: Path) -> Ended:
        return _frames(data, tmp_path / "w")

    def video(data: Path) -> Ended:
        shutil.copy(data, one / "train" / clip.name)
        return _frames(one, tmp_path / "w")

    def keypoints(data: Path) -> Ended:
        here = fresh(kp, tmp_path / "kp" / kp.name)
        shutil.copy(data, sorted(here.iterdir())[1])
        return forked(
            pipeline, "run", "--data", tmp_path / "clips.csv", "--work", tmp_path / "k", "--keypoints", here.parent,
            "--stage", "frames", "--stage", "keypoints", "--jobs", 1,
        )  # fmt: skip

    def archive(data: Path) -> Ended:
        return forked(
            pipeline, "run", "--data", tmp_path / "clips.csv", "--work", tmp_path / "a", "--keypoints", data,
            "--stage", "frames", "--stage", "keypoints", "--jobs", 1,
        )  # fmt: skip

    def set_json(data: Path) -> Ended:
        here = fresh(made, tmp_path / "set")
        shutil.copy(data, here / "dataset.json")
        return forked(shards, "verify", here, "--jobs", 1)

    def tar(data: Path) -> Ended:
        here = fresh(made, tmp_path / "set")
        shutil.copy(data, here / "train-000.tar")
        return forked(shards, "verify", "--full", here, "--jobs", 1)

    frames = tmp_path / "kp.tar"
    with tarfile.open(frames, "w") as file:
        file.add(kp, f"kp/{kp.name}")
    attacks = {
        labels: (tiny / "labels.csv", 50),
        clip_list: (tmp_path / "clips.csv", 25),
        video: (clip, 25),
        keypoints: (sorted(kp.iterdir())[1], 25),
        archive: (frames, 25),
        set_json: (made / "dataset.json", 30),
        tar: (made / "train-000.tar", 20),
    }
    for attack, (source, times) in attacks.items():
        whole = source.read_bytes()
        for number in range(times):
            data = tmp_path / f"{number}-{source.name}"
            data.write_bytes(mutated(whole, random_))
            seen = refused(attack(data))
            counts[f"mutated {attack.__name__.replace('_', ' ')}: {'refused or named' if seen else 'taken'}"] += 1


def _frames(data: Path, work: Path) -> Ended:
    shutil.rmtree(work, ignore_errors=True)
    return forked(pipeline, "run", "--data", data, "--work", work, "--stage", "frames", "--jobs", 1)


def test_tables_of_other_types(made: Path, tmp_path: Path, counts: Counter[str]) -> None:
    table = read_index(made / "train.parquet")
    for name in table.schema.names:
        for kind in (pa.string(), pa.float64(), pa.list_(pa.int64()), pa.int8(), None):
            here = fresh(made, tmp_path / "set")
            number = table.schema.names.index(name)
            column = pa.nulls(len(table), table.schema.types[number] if kind is None else kind)
            pq.write_table(table.set_column(number, name, column), here / "train.parquet")
            assert refused(forked(shards, "verify", here, "--jobs", 1)), (name, kind)
            counts["columns of an index of another type, or empty: refused"] += 1


def test_a_small_parquet_file_of_gigabytes_is_refused(made: Path, tmp_path: Path) -> None:
    here = fresh(made, tmp_path / "set")
    rows = read_index(made / "train.parquet").slice(0, 1).take(pa.array([0] * 500_000))
    with pq.ParquetWriter(here / "train.parquet", rows.schema, compression="zstd") as file:
        for _ in range(20):
            file.write_table(rows)
    with pytest.raises(InputError, match="unfolds to more than"):
        read_index(here / "train.parquet")
    ended = forked(shards, "list", here)
    assert ended.status == 2
    assert not ended.fault


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_driver_that_is_killed_alone_or_stopped(
    tiny: Path, tmp_path: Path, counts: Counter[str], sent: signal.Signals
) -> None:
    random_ = random.Random(9)
    options = ["--labels", str(tiny / "labels.csv"), "--keypoints", str(tiny / "kp"), "--jobs", "2"]
    subprocess.run(command(tiny / "mp4", tmp_path / "whole", *options), check=True, capture_output=True)
    for number in range(4):
        marker, work = uuid.uuid4().hex, tmp_path / f"{number}"
        driver = subprocess.Popen(
            command(tiny / "mp4", work, *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TEST_MARKER": marker},
        )
        time.sleep(random_.uniform(0.5, 4))
        driver.send_signal(sent)
        if sent == signal.SIGSTOP:
            time.sleep(2)
            driver.send_signal(signal.SIGCONT)
            assert driver.wait(120) == 0
        else:
            driver.wait(10)
            wait_until(lambda marker=marker: not processes_of(marker), 20)
            subprocess.run(command(tiny / "mp4", work, *options), check=True, capture_output=True)
        assert digests(work) == digests(tmp_path / "whole")
        counts[f"drivers {sent.name}: nothing left running, shards as without it"] += 1


def test_full_disks(tiny: Path, tmp_path: Path, counts: Counter[str]) -> None:
    options = ["--labels", str(tiny / "labels.csv"), "--keypoints", str(tiny / "kp"), "--jobs", "1"]
    for size in (500, 5_000, 20_000, 100_000):
        work = tmp_path / str(size)
        done = subprocess.run(
            command(tiny / "mp4", work, *options),
            capture_output=True,
            text=True,
            preexec_fn=lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        )
        assert done.returncode in (1, 2), done
        assert "Traceback" not in done.stderr
        assert not list(work.rglob("dataset.json"))
        counts["full disks: one line, no half shard set"] += 1


def test_few_open_files(tmp_path: Path, counts: Counter[str]) -> None:
    """A hundred shards under `ulimit -n 64`, with loader processes."""
    folder = make_shards(tmp_path / "set", Plan({"train": 90, "val": 10}, depth=True, per_shard=1))
    split, run, out = f"{folder}/val-*.tar", tmp_path / "run", tmp_path / "out"
    cnn = "--cnn rn18 --weights none --image-size 32 --sequence-length 4 --num-layers 1 --embed-size 16 --num-heads 2"
    commands: list[list[object]] = [
        ["shards.cli", "list", folder],
        ["shards.cli", "verify", "--full", folder, "--jobs", 2],
        ["shards.cli", "inspect", folder, "--out", tmp_path / "page.html"],
        ["shards.cli", "reshard", "--shards", folder, "--samples-per-shard", 1, "--jobs", 4, "--out", out],
        ["shards.cli", "verify", "--full", out, "--jobs", 2],
        ["train.cli", "--shards", folder, "--run-dir", run, *cnn.split(), "--max-epochs", 1, "--num-workers", 2],
        ["train.predict.cli", "--checkpoint", run / "last.pt", "--shards", split, "--out", tmp_path / "p.csv",
         "--save-logits", tmp_path / "l.npz", "--num-workers", 2],
        ["train.evaluate.cli", "--logits", tmp_path / "l.npz", "--shards", split, "--report", tmp_path / "report"],
    ]  # fmt: skip
    for module, *arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", str(module), *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        )
        assert done.returncode == 0, done
        counts["commands on 100 shards with 64 open files: the work is done"] += 1
    assert len(read_dataset(out).splits["train"]) == 90
