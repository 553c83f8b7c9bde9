"""Fingerprints: short digests of everything that a result depends on."""

import hashlib
import json
from pathlib import Path
from typing import Any


def fingerprint(*parts: Any) -> str:
    """A digest of JSON values; equal values give equal digests, on every machine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def stamp(path: str | Path | None) -> list[int] | None:
    """Size and mtime (ns) of an input, or None where there is none: cheap, and what changes when a file is replaced."""
    try:
        stat = Path(path).stat() if path else None
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns] if stat else None
