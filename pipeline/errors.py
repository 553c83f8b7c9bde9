"""What goes wrong with one clip and must not stop the others, and what stops a run."""

import errno

from shards.errors import OneLineError


class ClipError(Exception):
    """A clip that cannot be used; the message is the one-line reason that the ledger keeps."""


class RunError(OneLineError):
    """A run that cannot go on, through no fault of its command line: one line on stderr, exit status 1."""

    exit_code = 1


# No clip's own fault, and every other clip would meet it too.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def is_disk_trouble(error: OSError) -> bool:
    """True for a disk that is full, over its quota or read-only."""
    return error.errno in _DISK
