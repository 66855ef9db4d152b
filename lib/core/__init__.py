"""The ground floor: checks, checkpoints, seeds, targets, hooks, surgery, the training loop."""

from .checkpoints import checkpoint
from .evidence import evidence
from .hooks import capture, evaluation_mode, rewrite
from .sampling import fixed_seed, seeded
from .surgery import replaced
from .targets import target_score
from .training import Evaluation, History, evaluate, train

__all__ = [
    "Evaluation",
    "History",
    "capture",
    "checkpoint",
    "evaluate",
    "evaluation_mode",
    "evidence",
    "fixed_seed",
    "replaced",
    "rewrite",
    "seeded",
    "target_score",
    "train",
]
