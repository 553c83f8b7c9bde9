"""Released archives, as a user downloads them: a tar, perhaps compressed, perhaps split; read once, as one stream."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from pipeline.workers.process import kill_group, start_group, widen_pipe
from shards.errors import InputError

_UNPACK = str(Path(__file__).with_name("unpack.py"))
_SPLIT_SUFFIX = re.compile(r"[a-z]{2,}|\d{2,}")
_BUFFER = 1 << 16
_LARGEST = 1 << 20  # bytes; a frame's JSON has some 8,000

_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_LARGEST_EXTENDED = 1 << 16  # bytes; a long name or a list of attributes
_MOST_EXTENDED = 8  # of a member; tarfile reads them by recursion


class _OddHeaderError(Exception):
    """What no archive of keypoints has."""


class _Member(tarfile.TarInfo):
    """A member whose headers cannot ask for gigabytes, nor nest without end.

    Raises:
        _OddHeaderError: they do, or it is a sparse file.
    """

    in_a_row = 0  # extended headers before the member, in the archive that is being read

    def _proc_member(self, archive: Any) -> Any:  # tarfile's own hook for the types of headers
        _Member.in_a_row = _Member.in_a_row + 1 if self.type in _EXTENDED else 0
        too_large = self.type in _EXTENDED and self.size > _LARGEST_EXTENDED
        if too_large or self.size < 0 or _Member.in_a_row > _MOST_EXTENDED or self.type == tarfile.GNUTYPE_SPARSE:
            raise _OddHeaderError("a header as no tar of files has")
        return super()._proc_member(archive)  # type: ignore[misc]  # it has no hints

    def _refuse_sparse(self, *_: Any) -> None:
        raise _OddHeaderError("a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def archive_parts(first: Path) -> list[Path]:
    """The archive's files, in order: a single one, or all siblings of the first part of a split one.

    Raises:
        InputError: no such file, not the first part, another compression, or a part between is missing.
    """
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    stem, suffix = first.name.rpartition(".")[::2]
    # A part is kp.tar.bz2.ab or kp.tar.ab; kp.tar.gz is whole.
    of_tar = stem.endswith(".tar") and suffix not in ("gz", "xz")
    if not _SPLIT_SUFFIX.fullmatch(suffix) or not (".tar." in stem or of_tar):
        return [first]
    beginning = _suffix(0, suffix)
    if suffix != beginning:
        if (first.parent / f"{stem}.{beginning}").is_file():
            raise InputError(f"{first}: not the first part; give {stem}.{beginning}")
        raise InputError(
            f"{first}: .{suffix} is neither gz, bz2 nor xz, and if it is a part, the first one, {stem}.{beginning}, "
            "is missing; unpack it to a tar, or find that part"
        )
    kind = re.compile(rf"\.{'[0-9]' if suffix.isdigit() else '[a-z]'}{{{len(suffix)}}}")  # not .md5
    parts = sorted(path for path in first.parent.iterdir() if path.stem == stem and kind.fullmatch(path.suffix))
    for number, path in enumerate(parts):
        if path.suffix[1:] != (name := _suffix(number, suffix)):
            raise InputError(f"{first.parent / stem}.{name}: this part of the archive is missing")
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


def read_members(parts: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every regular file of up to 1 MB in an archive, in its order; `unpack.py` decompresses ahead.

    Raises:
        InputError: not a tar, or a member is a link, absolute or climbs with `..`: such an archive is not ours.
        EOFError: it ends too early; everything before that was given.
    """
    started = False
    _Member.in_a_row = 0
    command = [sys.executable, "-I", "-S", _UNPACK, *map(str, parts)]
    process = start_group(command, subprocess.PIPE, subprocess.PIPE)
    stdout = cast(IO[bytes], process.stdout)
    widen_pipe(stdout.fileno())
    try:
        with tarfile.open(fileobj=stdout, mode="r|", bufsize=_BUFFER, tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                started = True
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep all 2 million headers of AUTSL
                if member.size < 0:
                    raise _OddHeaderError("a negative size")
                if not _is_harmless(member):
                    raise InputError(f"{parts[0]}: refused: its member {member.name!r} is a link or leaves its folder")
                if member.isreg() and member.size <= _LARGEST:
                    yield member.name, _content(tar, member)
        if problem := _problem(process):
            raise OSError(problem)
    except _OddHeaderError as error:
        raise InputError(f"{parts[0]}: refused: it has {error}; pack it again") from error
    except (tarfile.ReadError, OSError, EOFError) as error:
        reason = _problem(process) or error
        if not started:
            raise InputError(f"{parts[0]}: not a tar archive, or cut off at its very beginning ({reason})") from error
        raise EOFError(f"{parts[-1]}: the archive ends too early or is damaged ({reason})") from error
    finally:
        kill_group(process)
        stdout.close()
        cast(IO[bytes], process.stderr).close()


def _problem(process: "subprocess.Popen[bytes]") -> str:
    """Why the decompression failed; "" where it did not, or only had more than was wanted."""
    cast(IO[bytes], process.stdout).close()
    if not process.wait():
        return ""
    said = cast(IO[bytes], process.stderr).read().decode(errors="replace").strip()
    return said or ("decompression was killed" if process.returncode < 0 else "")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    # tarfile's own file object for a member costs as much as its header.
    stream: Any = tar.fileobj
    stream.seek(member.offset_data)
    data: bytes = stream.read(member.size)
    if len(data) < member.size:
        raise EOFError(f"cut off inside {member.name}")
    return data


def _is_harmless(member: tarfile.TarInfo) -> bool:
    inside = not member.name.startswith("/") and ".." not in member.name.split("/")
    return inside and (member.isreg() or member.isdir())
