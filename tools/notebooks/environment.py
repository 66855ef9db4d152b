"""What every kernel of the book is started with, the same for `execute` and for nbval."""

import os
from collections.abc import Mapping

KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every run
    "OMP_NUM_THREADS": "1",  # notebooks run side by side, and sums are added in one order
    "INSIDE_LARGE_MODELS_STRICT": "1",  # an assertion under `with evidence():` that fails, rises
    "TQDM_DISABLE": "1",  # no progress bar in a stored output
}
REMAKE = "INSIDE_LARGE_MODELS_REMAKE"  # as in lib.core.checkpoints, which to import would load PyTorch


def set_kernel_environment(more: Mapping[str, str]) -> None:
    """Make every process started from here on inherit the kernels' environment, with `more` on top."""
    os.environ.update(KERNEL_ENVIRONMENT | dict(more))
