"""What a stage reports of a clip. Apart from the ledger that keeps it: workers need no Parquet (0.13 s, 32 MB)."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DONE, FAILED = "done", "failed"
BEGUN = "begun"  # a shard that is being written, or was when the driver was killed


@dataclass(slots=True)  # not frozen: AUTSL's 145,000 rows are made in 0.06 s instead of 0.26
class LedgerRow:
    """What came of one clip (or shard) in one stage."""

    id: str
    status: str  # DONE, FAILED or BEGUN
    fingerprint: str  # of everything the result depends on
    seconds: float = 0.0
    bytes: int = 0  # written
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # what later stages need to know, as JSON
    time: float = field(default_factory=time.time)  # of the record, seconds since 1970
    temporary: Path | None = None  # name of the result file until the driver takes the row; not in the ledger


@dataclass(frozen=True)
class Made:
    """What a stage's work gives: facts for the ledger and, where the stage has one, the result file."""

    facts: dict[str, Any] = field(default_factory=dict)
    bytes: int = 0
    temporary: Path | None = None
