"""What a stage says of a clip. Apart from the ledger that keeps it, because workers need no Parquet (0.13 s, 32 MB)."""

import time
from dataclasses import dataclass, field
from typing import Any

DONE, FAILED = "done", "failed"
BEGUN = "begun"  # a shard that is being written, or was when the driver was killed


@dataclass(frozen=True)
class Row:
    """What came of one sample in one stage."""

    id: str
    status: str  # DONE, FAILED or BEGUN
    fingerprint: str  # of everything the result depends on
    seconds: float = 0.0
    bytes: int = 0  # written
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # what later stages need to know, as JSON
    time: float = field(default_factory=time.time)  # of the record, seconds since 1970
