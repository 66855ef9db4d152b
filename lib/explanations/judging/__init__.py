"""Is an explanation right? Measures of what it claims, against the model that it is about."""

from .completeness import completeness_gap
from .faithfulness import FaithfulnessCurve, deletion_curve, insertion_curve
from .sanity_checks import cascading_randomization, rank_correlation

__all__ = [
    "FaithfulnessCurve",
    "cascading_randomization",
    "completeness_gap",
    "deletion_curve",
    "insertion_curve",
    "rank_correlation",
]
