"""The loader against JPEG decoding alone, and against what a user would do without it."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from pipeline.video.program import ffmpeg_binary
from shards.errors import InputError
from shards.format.sample import MEMBERS
from shards.format.shardset import ShardSet, open_shards
from tools.bench.data import BenchData, repeated
from tools.bench.timing import Run, Table, compare, table
from train.data.clip import SampleReader, decode_into
from train.data.crop_batch import CropReader
from train.data.dataset import LoaderSettings, ShardDataset
from train.data.loader import make_loader
from train.data.views import EVALUATION
from train.data.window import Window, window_frames

# As many samples as one of 8 workers reads in an epoch of AUTSL (28,142 samples): starting a worker counts as it does
# there. In 1,024 samples, its 0.06 to 0.14 s were two to four hundredths of the figure.
EPOCH = 3500


def loader_tables(shards: ShardSet, data: BenchData | None, repeats: int) -> list[Table]:
    """Tables for RGB and, where the shards have depth, RGB-D; pin the process to one core first."""
    epochs = max(3, repeats // 2)  # they are long
    tables = [_table(shards, with_depth=False, repeats=epochs)]
    if shards.has("left_depth.mjpg").all():
        tables.append(_table(shards, with_depth=True, repeats=epochs))
    tables.append(_input_table(shards, repeats))
    if data is not None:
        tables.append(_without_shards(shards, data, repeats))
    return tables


def _settings(shards: ShardSet, with_depth: bool, workers: int) -> LoaderSettings:
    return LoaderSettings(Window(), shards.dataset.recipe, with_depth=with_depth, num_workers=workers)


def _table(shards: ShardSet, with_depth: bool, repeats: int) -> Table:
    rounds = -(-EPOCH // len(shards))
    epoch = repeated(shards, rounds)

    def in_process() -> None:
        for _ in ShardDataset(epoch, _settings(shards, with_depth, 0), False, CropReader):
            pass

    def one_worker(batch_size: int) -> Run:
        # One loader for all epochs, as in training: only in the first one does it get its memory from the system.
        loader = make_loader(epoch, replace(_settings(shards, with_depth, 1), batch_size=batch_size), training=False)

        def run() -> None:
            for _ in loader:
                pass

        return run

    contenders: dict[str, Run] = {
        "loader, in this process": in_process,
        "loader, one worker process": one_worker(4),
        "loader, one worker process, batches of 16": one_worker(16),
    }
    goals = {name: "≥ 0.90" for name in contenders if "worker" in name}
    try:
        import webdataset  # noqa: F401
    except ImportError:
        pass
    else:
        contenders["webdataset's reader, same decoding"] = _webdataset(shards, with_depth, rounds)
    some = -(-rounds // 4)  # the limit has nothing to start, and is measured more often
    limit = _pure_decoding(shards, with_depth, some)
    measured = compare(limit, contenders, len(epoch), repeats, limit_units=some * len(shards))
    name = "RGB-D" if with_depth else "RGB"
    return table(f"loader, {name}", "sample", "decoding the same JPEGs", measured, goals)


def _pure_decoding(shards: ShardSet, with_depth: bool, rounds: int) -> Run:
    reader = SampleReader(shards, Window(), shards.dataset.recipe, with_depth)
    depth_channels = 3 if shards.dataset.recipe.mixed_depth else 1
    jobs = []
    for sample in range(len(shards)):
        clip = reader.read(sample, EVALUATION)
        for crops, channels in ((clip.color, 3), (clip.depth, depth_channels)):
            for part in crops.ranges if crops else ():
                for jpeg, (_, _, width, height) in zip(reader.jpegs(sample, part), part.jpegs, strict=True):
                    jobs.append((bytes(jpeg), width, height, channels, part.as_gray))
    reader.members.close()
    # One buffer for all: what it costs to get fresh memory is the loader's, not the decoder's.
    buffer = np.empty(max(width * height * channels for _, width, height, channels, _ in jobs), np.uint8)

    def run() -> None:
        for _ in range(rounds):
            for jpeg, width, height, channels, as_gray in jobs:
                decode_into(jpeg, width, height, channels, buffer[: width * height * channels], as_gray)

    return run


class _Members:
    """webdataset's samples by number, read as `MemberReader` reads: all their bytes are there already."""

    def __init__(self) -> None:
        self.samples: dict[int, dict[str, bytes]] = {}

    def span(self, sample: int, member: int, start: int = 0, size: int | None = None) -> memoryview:
        return memoryview(self.samples[sample][MEMBERS[member]])[start : None if size is None else start + size]

    def forget(self) -> None:
        pass


def _webdataset(shards: ShardSet, with_depth: bool, rounds: int) -> Run:
    """webdataset's reader before our decoding and collation."""
    import webdataset

    paths = [str(path) for path in shards.paths]
    dataset = ShardDataset(shards, _settings(shards, with_depth, 0), False, CropReader)
    reader, members = CropReader(shards, dataset.settings), _Members()
    reader.samples.members = members  # type: ignore[assignment] # reads as a MemberReader

    def run() -> None:
        for _ in range(rounds):
            samples = enumerate(webdataset.WebDataset(paths, shardshuffle=False, empty_check=False))
            while batch := dict(islice(samples, dataset.settings.batch_size)):
                members.samples = batch
                dataset.read_batch(reader, list(batch), len(batch))

    return run


def _input_table(shards: ShardSet, repeats: int) -> Table:
    """Up to augmented float input, on the CPU, one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    dataset = ShardDataset(shards, _settings(shards, with_depth=False, workers=0), True, CropReader)

    def read() -> None:
        for _ in dataset:
            pass

    def augmented() -> None:
        for batch in dataset:
            batch.inputs(224, training=True)

    measured = compare(read, {"augmented float input, 224 pixels": augmented}, len(shards), repeats)
    torch.set_num_threads(threads)
    return table("from shards to model input on the CPU", "sample", "loader, in this process", measured)


def _without_shards(shards: ShardSet, data: BenchData, repeats: int) -> Table:
    """What a user without shards does for every sample of every epoch: decode the video."""
    found = {path.name.removesuffix("_color.mp4"): path for path in data.mp4.glob("*/*_color.mp4")}
    clips = [(str(found[key]), int(count)) for key, count in zip(shards.ids.to_pylist(), shards.frames, strict=True)]

    def loader() -> None:
        for _ in ShardDataset(shards, _settings(shards, with_depth=False, workers=0), False, CropReader):
            pass

    contenders: dict[str, Run] = {"FFmpeg decoding the clip (RGB to a pipe)": _ffmpeg(clips)}
    if decoder := _torchcodec(clips, shards):
        contenders["torchcodec decoding the window's frames"] = decoder
    measured = compare(loader, contenders, len(clips), repeats)
    return table("without shards (decoding alone, no crops)", "sample", "loader, in this process", measured)


def _ffmpeg(clips: list[tuple[str, int]]) -> Run:
    binary = ffmpeg_binary()

    def run() -> None:
        for path, _ in clips:
            command = [binary, "-nostdin", "-loglevel", "error", "-threads", "1", "-i", path]
            subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)

    return run


def _torchcodec(clips: list[tuple[str, int]], shards: ShardSet) -> Callable[[], None] | None:
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(clips[0][0])
    except (ImportError, OSError, RuntimeError):
        return None  # not installed, or without the FFmpeg libraries that it loads

    def run() -> None:
        for path, count in clips:
            frames = window_frames(count, Window(), shards.dataset.recipe).tolist()
            VideoDecoder(path, num_ffmpeg_threads=1).get_frames_at(frames)

    return run


def grown_tables(pattern: str, repeats: int) -> list[Table]:
    """Cost per sample as the index grows: 1, 10 and 100 times the rows."""
    shards = open_shards(pattern)
    settings = _settings(shards, with_depth=False, workers=0)
    batches = min(8, len(shards) // settings.batch_size)
    if not batches:
        raise InputError(f"--data: {len(shards)} samples are too few for a batch of {settings.batch_size}")

    def first_batches(times: int) -> Run:
        dataset = ShardDataset(repeated(shards, times), settings, True, CropReader)

        def run() -> None:
            for _ in islice(dataset, batches):
                pass

        return run

    contenders = {f"{times} × the samples": first_batches(times) for times in (10, 100)}
    measured = compare(first_batches(1), contenders, batches * settings.batch_size, repeats)
    return [table(f"as the data grows: {batches} batches of an epoch", "sample", "1 × the samples", measured)]
