"""Names: what can be the id of a sample or the name of a split, and signers in the ids of AUTSL."""

import re
from functools import cache

_AUTSL_SIGNER = re.compile(r"signer(\d+)_sample\d+")
# "/" would leave the folder, "." would end the WebDataset key, control characters break every listing.
_FORBIDDEN_IN_ID = re.compile(r"[./\\\x00-\x1f\x7f]")
# With the longest member name after it, an id fills the 100 bytes that a tar header has for a name.
LONGEST_ID = 83


def id_problem(sample_id: str) -> str | None:
    """Why a string cannot be a sample's id, or None when it can."""
    if not is_utf8(sample_id):
        return "an id must be UTF-8"
    if not sample_id or len(sample_id.encode()) > LONGEST_ID:
        return f"an id has 1 to {LONGEST_ID} bytes"
    if found := _FORBIDDEN_IN_ID.search(sample_id):
        return f"an id cannot contain {found.group()!r}"
    return None


def is_utf8(name: str) -> bool:
    """False for a name of a file or an argument that Python can only hold with surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache  # a clip list asks for each of its clips, and has few splits
def is_split_name(name: str) -> bool:
    """Whether a string can name a split: it becomes part of file names."""
    return id_problem(name) is None and not name.startswith("-")


def signer_of(sample_id: str) -> str:
    """The signer in an id of AUTSL's form, `signer<S>_sample<N>`; "" for another id."""
    match = _AUTSL_SIGNER.fullmatch(sample_id)
    return match.group(1) if match else ""


def signer_order(signer: str) -> tuple[int, str]:
    """Sorting key: signers that are numbers by number, then the others by name."""
    number = signer.isdecimal() and len(signer) < 10
    return (int(signer) if number else 10**9, signer)
