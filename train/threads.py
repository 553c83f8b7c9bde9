"""How OpenMP's threads wait for each other."""

import os


def wait_passively() -> None:
    """Let them sleep while they wait, unless the user has set how they wait. To be called before torch is imported.

    By themselves they spin; where other programs run, each thread then spins for one that has no core: MEASURED.
    """
    # GOMP_SPINCOUNT, where a user has set it, goes before this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
