"""The switch for changes that outlive a call: settings of the host process, such as BLAS threads and the C library's memory."""

import os

VARIABLE = "SCRATCH_TUNE_PROCESS"


def may_tune_process() -> bool:
    """Return whether this package may change settings of the process; SCRATCH_TUNE_PROCESS=0 forbids it."""
    return os.environ.get(VARIABLE, "").strip() != "0"
