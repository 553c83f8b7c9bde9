"""What a stage works on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One clip: a colour video, perhaps a depth video."""

    id: str
    split: str
    signer: str
    label: int | None
    color: str
    depth: str | None
