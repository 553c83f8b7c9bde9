"""Every path of a workspace, and nothing else. See `docs/workspace.md` for what the files hold."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from shards.errors import InputError
from shards.files import remove_leftovers
from shards.names import is_utf8

# The stages, in order. Each has a ledger of its name, and those that write files a folder of its name.
STAGES = ("frames", "keypoints", "poseflow", "handcrops", "shards")


@dataclass(frozen=True)
class Workspace:
    """The folder behind `--work`."""

    root: Path

    @property
    def manifest(self) -> Path:
        """One row per sample."""
        return self.root / "manifest.parquet"

    @property
    def ledgers(self) -> Path:
        """What was done, per stage."""
        return self.root / "ledger"

    @property
    def shards(self) -> Path:
        """Where shards go unless `--shards-out` says otherwise."""
        return self.root / "shards"

    def keypoints(self, sample_id: str) -> Path:
        """float32 (T, 135, 3)."""
        return self.root / "keypoints" / f"{sample_id}.npy"

    def poseflow(self, sample_id: str) -> Path:
        """float32 (T-1, 135, 2)."""
        return self.root / "poseflow" / f"{sample_id}.npy"

    def handcrops(self, sample_id: str) -> Path:
        """A tar of what a sample has that depends on the clip alone."""
        return self.root / "handcrops" / f"{sample_id}.tar"

    def create(self) -> None:
        """Make the folders.

        Raises:
            InputError: when they cannot be made or written, or have a name that Parquet files cannot have.
        """
        if not is_utf8(str(self.root)):
            raise InputError(f"{str(self.root)!r}: its name is not UTF-8; rename it, or give another --work")
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --work") from error

    def remove_leftovers(self) -> None:
        """Clear away the temporary files of a killed run. Those of a running one go too: hold the lock."""
        for folder in (self.root, *self.folders):
            remove_leftovers(folder)

    @property
    def folders(self) -> list[Path]:
        """Those that are the workspace's alone."""
        return [self.ledgers, *(self.root / name for name in ("keypoints", "poseflow", "handcrops"))]
