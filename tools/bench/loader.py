"""The loader against JPEG decoding alone, and against what a user would do without it. One core."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import simplejpeg
import webdataset

from shards.format.shardset import ShardSet, open_shards
from tools.bench.data import BenchData, Members, jpegs_of, read_samples, run_pipeline
from tools.bench.timing import Contender, Table, compare, on_cores
from train.crops.crop_batch import CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window, window_frames

# Samples, so that the 0.1 s in which a worker starts count for little more than one hundredth; of 8 workers, each reads
# 3,500 in an epoch of AUTSL.
EPOCH = 1500
QUALITIES = (80, 90, 95, 100)


def tables(data: BenchData, rounds: int) -> Iterator[Table | str]:
    """What a sample costs: for RGB and RGB-D, without shards, and by JPEG quality."""
    shards = open_shards(str(data.shards))
    samples = list(read_samples(data.shards))
    has_depth = all("left_depth.mjpg" in members for members in samples)
    with on_cores(1):
        for with_depth in (False, True)[: 1 + has_depth]:
            yield _against_decoding(data, shards, samples, with_depth, rounds)
        yield _without_shards(data, shards, rounds)
        yield from _qualities(data, rounds)


def _epoch(shards: ShardSet, workers: int, with_depth: bool = False) -> Callable[[], None]:
    """Reading an epoch in batches of 4; the loader is the same in every epoch, as in training."""
    settings = LoaderSettings(Window(), shards.dataset.recipe, with_depth, 4, workers)
    loader = make_loader(shards, settings, CropReader, training=False)

    def run() -> None:
        for _ in loader:
            pass

    return run


def _window_jpegs(members: Members, shards: ShardSet, with_depth: bool) -> Iterator[tuple[bytes, str, int]]:
    frames = window_frames(json.loads(members["json"])["frames"], Window(), shards.dataset.recipe)
    return jpegs_of(members, frames.tolist(), with_depth)


def _against_decoding(
    data: BenchData, shards: ShardSet, samples: list[Members], with_depth: bool, rounds: int
) -> Table:
    times = -(-EPOCH // len(shards))
    units = times * len(shards)
    some = -(-times // 4)  # for what has nothing to start; the limit is measured more often, too
    jpegs = [jpeg for members in samples for jpeg in _window_jpegs(members, shards, with_depth)]
    limit = Contender("decoding the same JPEGs", lambda: _decode(jpegs, some), some * len(shards))
    worker = _epoch(shards.take(np.tile(np.arange(len(shards)), times)), workers=1, with_depth=with_depth)
    by_webdataset = _webdataset(data, shards, with_depth, some)
    contenders = [
        Contender("loader, one worker process", worker, units, "≥ 0.90"),
        Contender("webdataset, the same JPEGs decoded", by_webdataset, some * len(shards)),
    ]
    return compare(f"loader, {'RGB-D' if with_depth else 'RGB'}", "sample", limit, contenders, rounds)


def _decode(jpegs: list[tuple[bytes, str, int]], times: int) -> None:
    # Into one buffer: what it costs to get fresh memory is the loader's, not the decoder's.
    buffer = np.empty(max(size for _, _, size in jpegs), np.uint8)
    for _ in range(times):
        for jpeg, colors, size in jpegs:
            simplejpeg.decode_jpeg(jpeg, colors, buffer=buffer[:size])


def _webdataset(data: BenchData, shards: ShardSet, with_depth: bool, times: int) -> Callable[[], None]:
    """webdataset's reader and the decoding of the window; no features, no batches."""
    paths = sorted(map(str, data.shards.glob("*.tar")))

    def run() -> None:
        for _ in range(times):
            for sample in webdataset.WebDataset(paths, shardshuffle=False, empty_check=False):
                for jpeg, colors, _ in _window_jpegs(sample, shards, with_depth):
                    simplejpeg.decode_jpeg(jpeg, colors)

    return run


def _without_shards(data: BenchData, shards: ShardSet, rounds: int) -> Table:
    """What a user without shards does for every sample of every epoch: decode the video."""
    clips, binary = data.videos("color"), imageio_ffmpeg.get_ffmpeg_exe()

    def by_ffmpeg() -> None:
        for path in clips:
            command = [binary, "-nostdin", "-loglevel", "error", "-threads", "1", "-i", path]
            subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)

    contenders = [Contender("FFmpeg decoding the clip (RGB to a pipe)", by_ffmpeg, len(clips))]
    if by_torchcodec := _torchcodec(clips, shards):
        contenders.append(Contender("torchcodec decoding the window's frames", by_torchcodec, len(clips)))
    limit = Contender("loader, in this process", _epoch(shards, workers=0), len(shards))
    return compare("without shards (decoding alone, no crops)", "sample", limit, contenders, rounds)


def _torchcodec(clips: list[str], shards: ShardSet) -> Callable[[], None] | None:
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(clips[0])
    except (ImportError, OSError, RuntimeError):
        return None  # not installed, or without the FFmpeg libraries that it loads

    def run() -> None:
        for path in clips:
            decoder = VideoDecoder(path, num_ffmpeg_threads=1)
            frames = window_frames(decoder.metadata.num_frames, Window(), shards.dataset.recipe)
            decoder.get_frames_at(frames.tolist())

    return run


def _qualities(data: BenchData, rounds: int) -> Iterator[Table | str]:
    """What JPEG quality costs: time to decode, bytes, error."""
    crops: dict[int, list[tuple[bytes, str, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for quality in QUALITIES:
            run_pipeline(data, Path(folder, str(quality)), 1, "--quality", str(quality), "--no-depth")
            crops[quality] = [
                jpeg
                for members in islice(read_samples(Path(folder, str(quality), "shards")), 8)
                for jpeg in jpegs_of(members, list(range(json.loads(members["json"])["frames"])), with_depth=False)
            ]
    best = [simplejpeg.decode_jpeg(jpeg).astype(int) for jpeg, _, _ in crops[100]]

    def decoding(quality: int) -> Contender:
        return Contender(f"quality {quality}", lambda: _decode(crops[quality], 1), len(best))

    yield compare("decoding a crop", "crop", decoding(95), [decoding(80), decoding(90)], rounds)
    for quality in QUALITIES[:-1]:
        shown = [simplejpeg.decode_jpeg(jpeg) for jpeg, _, _ in crops[quality]]
        error = np.mean([np.abs(one - other).mean() for one, other in zip(shown, best, strict=True)])
        size = np.mean([len(jpeg) for jpeg, _, _ in crops[quality]]) / 1000
        yield f"crops at quality {quality}: {size:.1f} KB, mean error {error:.2f} of 255 against quality 100"
