"""How does the model behave over a population? Effects and importances of the columns of a table."""

from .accumulated_effects import (
    AccumulatedEffects,
    AccumulatedInteraction,
    accumulated_effects,
    accumulated_interaction,
)
from .interaction import InteractionStrength, interaction_strength
from .partial_dependence import IndividualEffects, PartialDependence, individual_effects, partial_dependence
from .permutation_importance import PermutationImportance, permutation_importance

__all__ = [
    "AccumulatedEffects",
    "AccumulatedInteraction",
    "IndividualEffects",
    "InteractionStrength",
    "PartialDependence",
    "PermutationImportance",
    "accumulated_effects",
    "accumulated_interaction",
    "individual_effects",
    "interaction_strength",
    "partial_dependence",
    "permutation_importance",
]
