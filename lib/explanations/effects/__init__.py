"""How does the model behave over a population? Effects and importances of the columns of a table."""

from .accumulated_effects import (
    AccumulatedEffects,
    AccumulatedInteraction,
    accumulated_effects,
    accumulated_interaction,
)
from .anchor import Anchor, anchor
from .counterfactual import Counterfactuals, counterfactuals
from .interaction import InteractionStrength, interaction_strength
from .partial_dependence import IndividualEffects, PartialDependence, individual_effects, partial_dependence
from .permutation_importance import PermutationImportance, permutation_importance
from .surrogate_tree import SurrogateTree, fidelity, surrogate_tree

__all__ = [
    "AccumulatedEffects",
    "AccumulatedInteraction",
    "Anchor",
    "Counterfactuals",
    "IndividualEffects",
    "InteractionStrength",
    "PartialDependence",
    "PermutationImportance",
    "SurrogateTree",
    "accumulated_effects",
    "accumulated_interaction",
    "anchor",
    "counterfactuals",
    "fidelity",
    "individual_effects",
    "interaction_strength",
    "partial_dependence",
    "permutation_importance",
    "surrogate_tree",
]
