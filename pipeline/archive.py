"""Released archives, as a user downloads them: a tar, perhaps compressed, perhaps split; read once, as one stream."""

import bz2
import gzip
import io
import lzma
import queue
import re
import tarfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from shards.errors import InputError

_SPLIT_PART = re.compile(r"\.([a-z]{2,}|\d{2,})$")
_BUFFER = 1 << 20
_CHUNK = 1 << 16  # decompressed at a time; where it is damaged, all of it is lost
_AHEAD = 64  # chunks
_LARGEST = 1 << 20  # bytes; a frame's JSON has some 8,000
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)
_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open}


def archive_parts(first: Path) -> list[Path]:
    """The archive's files, in order: a single one, or all siblings of the first part of a split one.

    Raises:
        InputError: no such file, not the first part, or a part between is missing.
    """
    if not first.is_file():
        raise InputError(f"{first}: no such file")
    match = _SPLIT_PART.search(first.name)
    stem = first.name[: match.start()] if match else ""
    # A part is kp.tar.bz2.ab or kp.tar.ab; kp.tar.gz is whole.
    if ".tar." not in stem and not (stem.endswith(".tar") and match[1] not in ("gz", "xz")):
        return [first]
    beginning = _suffix(0, match[1])
    if match[1] != beginning:
        raise InputError(f"{first}: not the first part; give {stem}.{beginning}")
    parts = sorted(path for path in first.parent.glob(f"{stem}.*") if len(path.suffix) == len(match[0]))
    names = [_suffix(number, match[1]) for number in range(len(parts))]
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


class _Concatenated(io.RawIOBase):
    """Several files read as one."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = iter(paths)
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while True:
            if self._file is None:
                path = next(self._paths, None)
                if path is None:
                    return 0
                self._file = path.open("rb")
            if count := self._file.readinto(buffer):
                return count
            self._file.close()
            self._file = None


class _Unpacked:
    """The tar in an archive, as a file that can only be read forwards.

    A thread decompresses ahead: bzip2 lets go of the interpreter's lock, and takes as long as reading tar and JSON.
    """

    def __init__(self, packed: io.BufferedReader) -> None:
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._chunk = b""
        self._used = 0  # of the chunk
        self._position = 0
        threading.Thread(target=self._decompress, args=(packed,), daemon=True).start()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end."""
        end = self._used + size
        if end <= len(self._chunk):
            data = self._chunk[self._used : end]
            self._used = end
        else:
            pieces, missing = [self._chunk[self._used :]], end - len(self._chunk)
            while missing > 0 and self._next():
                pieces.append(self._chunk[:missing])
                self._used = len(pieces[-1])
                missing -= self._used
            data = b"".join(pieces)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        """Skip bytes."""
        if position < self._position:
            raise io.UnsupportedOperation("this stream cannot go back")
        while (ahead := position - self._position) and self.read(min(ahead, _CHUNK)):
            pass

    def close(self) -> None:
        """Let the thread end."""
        self._stopped.set()

    def _next(self) -> bool:
        """Take the next chunk; False at the end."""
        chunk = self._chunks.get()
        if not isinstance(chunk, bytes):
            self._chunks.put(chunk)  # whoever reads on meets it again
            raise chunk
        self._chunk, self._used = chunk, 0
        if not chunk:
            self._chunks.put(chunk)
        return bool(chunk)

    def _decompress(self, packed: io.BufferedReader) -> None:
        try:
            opener = next((opener for magic, opener in _OPENERS.items() if packed.peek(8).startswith(magic)), None)
            stream = opener(packed) if opener else packed
            while (chunk := stream.read1(_CHUNK)) and self._hand_over(chunk):
                pass
        except _DAMAGE as error:
            self._hand_over(error)
        finally:
            self._hand_over(b"")  # or the reader would wait for ever

    def _hand_over(self, chunk: bytes | Exception) -> bool:
        """False when nobody wants more."""
        while not self._stopped.is_set():
            try:
                self._chunks.put(chunk, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def read_members(parts: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every regular file of up to 1 MB in an archive, in its order.

    Raises:
        InputError: not a tar, or a member is a link, absolute or climbs with `..`: such an archive is not ours.
        EOFError: it ends too early; everything before that was given.
    """
    started = False
    with io.BufferedReader(_Concatenated(parts), _BUFFER) as packed:
        stream = _Unpacked(packed)
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
        except (tarfile.ReadError, *_DAMAGE) as error:
            if not started:
                raise InputError(
                    f"{parts[0]}: not a tar archive, or cut off at its very beginning ({error})"
                ) from error
            raise EOFError(f"{parts[-1]}: the archive ends too early or is damaged ({error})") from error
        finally:
            stream.close()


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
