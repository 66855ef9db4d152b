"""The ground floor: checks, seeds, hooks, the training loop."""

from .hooks import capture
from .sampling import fixed_seed, seeded
from .training import Evaluation, History, evaluate, train

__all__ = ["Evaluation", "History", "capture", "evaluate", "fixed_seed", "seeded", "train"]
