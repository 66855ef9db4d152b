"""Is an explanation right? Measures of what it claims, against the model that it is about."""

from .agreement import Agreement, agreement
from .completeness import completeness_gap
from .faithfulness import FaithfulnessCurve, deletion_curve, insertion_curve
from .infidelity import infidelity
from .localisation import Localisation, localisation
from .sanity_checks import cascading_randomization, rank_correlation
from .sensitivity import max_sensitivity

__all__ = [
    "Agreement",
    "FaithfulnessCurve",
    "Localisation",
    "agreement",
    "cascading_randomization",
    "completeness_gap",
    "deletion_curve",
    "infidelity",
    "insertion_curve",
    "localisation",
    "max_sensitivity",
    "rank_correlation",
]
