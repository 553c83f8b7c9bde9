"""One driver per workspace, or one per part of a job array.

A whole run takes `driver.lock` alone; parts share it, and each takes its own part's lock alone.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.workspace.part import Part
from shards.lock import file_lock


@contextmanager
def workspace_lock(folder: Path, part: Part | None) -> Iterator[None]:
    """Hold the lock of the workspace whose lock files lie in `folder`.

    Raises:
        InputError: another driver holds it.
    """
    with ExitStack() as locks:
        driver, a_part = folder / "driver.lock", "a part of a job array"
        locks.enter_context(file_lock(driver, "this workspace", shared=part is not None, unsigned=a_part))
        if part is not None:
            locks.enter_context(file_lock(folder / f"{part.name}.lock", part.name, unsigned=a_part))
        yield
