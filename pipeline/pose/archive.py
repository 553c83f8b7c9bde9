"""Released archives, as a user downloads them: a tar, perhaps compressed, perhaps split; read once, as one stream."""

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipeline.workers.process import kill_group, start_group, widen_pipe
from shards.errors import InputError

_UNPACK = str(Path(__file__).with_name("unpack.py"))
_SPLIT_PART = re.compile(r"\.([a-z]{2,}|\d{2,})$")
_BUFFER = 1 << 16
_LARGEST = 1 << 20  # bytes; a frame's JSON has some 8,000


def archive_parts(first: Path) -> list[Path]:
    """The archive's files, in order: a single one, or all siblings of the first part of a split one.

    Raises:
        InputError: no such file, not the first part, another compression, or a part between is missing.
    """
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    match = _SPLIT_PART.search(first.name)
    stem = first.name[: match.start()] if match else ""
    # A part is kp.tar.bz2.ab or kp.tar.ab; kp.tar.gz is whole.
    if ".tar." not in stem and not (stem.endswith(".tar") and match[1] not in ("gz", "xz")):
        return [first]
    beginning = _suffix(0, match[1])
    # 7-Zip and `split --numeric-suffixes=1` begin with 001.
    start = int(match[1].isdigit() and not (first.parent / f"{stem}.{beginning}").is_file())
    if start and (first.parent / f"{stem}.{_suffix(1, match[1])}").is_file():
        beginning = _suffix(1, match[1])
    if match[1] != beginning:
        if (first.parent / f"{stem}.{beginning}").is_file():
            raise InputError(f"{first}: not the first part; give {stem}.{beginning}")
        raise InputError(
            f"{first}: {match[0]} is neither gz, bz2 nor xz, and if it is a part, the first one, {stem}.{beginning}, "
            "is missing; unpack it to a tar, or find that part"
        )
    kind = re.compile(rf"\.{'[0-9]' if match[1].isdigit() else '[a-z]'}{{{len(match[1])}}}")  # not .md5
    parts = sorted(path for path in first.parent.iterdir() if path.stem == stem and kind.fullmatch(path.suffix))
    names = [_suffix(number, match[1]) for number in range(start, start + len(parts))]
    if [path.suffix[1:] for path in parts] != names:
        missing = next(name for path, name in zip(parts, names, strict=True) if path.suffix[1:] != name)
        raise InputError(f"{first.parent / stem}.{missing}: this part of the archive is missing")
    return parts


def _suffix(number: int, first: str) -> str:
    """Part number 27 after `aa` is `bb`; after `00` it is `27`: how split(1) counts."""
    if first.isdigit():
        return str(number).zfill(len(first))
    letters = []
    for _ in first:
        number, letter = divmod(number, 26)
        letters.append(chr(ord("a") + letter))
    return "".join(reversed(letters))


class _Unpacked:
    """The tar in an archive, as a file that can only be read forwards; `unpack.py` decompresses ahead."""

    def __init__(self, parts: list[Path]) -> None:
        command = [sys.executable, "-I", "-S", _UNPACK, *map(str, parts)]
        self._process = start_group(command, subprocess.PIPE, subprocess.PIPE)
        widen_pipe(self._process.stdout.fileno())
        self._pipe = io.BufferedReader(self._process.stdout, _BUFFER)
        self._position = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end.

        Raises:
            OSError: they are damaged.
        """
        data = self._pipe.read(size)
        self._position += len(data)
        if len(data) < size and self._process.wait():
            raise OSError(self._process.stderr.read().decode(errors="replace").strip() or "decompression was killed")
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        """Skip bytes."""
        if position < self._position:
            raise io.UnsupportedOperation("this stream cannot go back")
        while (ahead := position - self._position) and self.read(min(ahead, _BUFFER)):
            pass

    def close(self) -> None:
        """End the decompression."""
        kill_group(self._process)
        self._pipe.close()
        self._process.stderr.close()


def read_members(parts: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every regular file of up to 1 MB in an archive, in its order.

    Raises:
        InputError: not a tar, or a member is a link, absolute or climbs with `..`: such an archive is not ours.
        EOFError: it ends too early; everything before that was given.
    """
    started = False
    with closing(_Unpacked(parts)) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    started = True
                    tar.members = []  # tarfile would keep all 2 million headers of AUTSL
                    if not _is_harmless(member):
                        raise InputError(
                            f"{parts[0]}: refused: its member {member.name!r} is a link or leaves its folder"
                        )
                    if member.isreg() and member.size <= _LARGEST:
                        yield member.name, _content(stream, member)
        except (tarfile.ReadError, OSError, EOFError) as error:
            if not started:
                raise InputError(
                    f"{parts[0]}: not a tar archive, or cut off at its very beginning ({error})"
                ) from error
            raise EOFError(f"{parts[-1]}: the archive ends too early or is damaged ({error})") from error


def _content(stream: _Unpacked, member: tarfile.TarInfo) -> bytes:
    # tarfile's own file object for a member costs as much as its header.
    stream.seek(member.offset_data)
    data = stream.read(member.size)
    if len(data) < member.size:
        raise EOFError(f"cut off inside {member.name}")
    return data


def _is_harmless(member: tarfile.TarInfo) -> bool:
    inside = not member.name.startswith("/") and ".." not in member.name.split("/")
    return inside and (member.isreg() or member.isdir()) and not member.issparse()
