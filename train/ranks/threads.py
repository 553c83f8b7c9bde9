"""How OpenMP's threads wait for each other."""

import os


def wait_passively() -> None:
    """Let them sleep while they wait, unless the user has set how they wait. To be called before torch is imported.

    By themselves they spin, and where other programs run, for threads that have no core. With 10 runnable processes on
    two cores `train` (ResNet-18, 64 pixels, on the CPU) saw 0.23 to 0.25 samples/s with ACTIVE, 0.64 to 1.17 with
    PASSIVE (three and six runs).
    """
    # GOMP_SPINCOUNT, where a user has set it, goes before this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
