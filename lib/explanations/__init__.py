"""Why did the model answer that? Methods that attribute a score to the input, and checks of what they claim.

Four rooms: ``attribution`` (one input), ``effects`` (the whole model), ``mechanisms`` (inside the network) and ``judging``.
An attribution is called as ``method(model, inputs, target, *, knobs)`` and returns a tensor shaped like ``inputs``. The model
is a module or any callable that returns ``[batch, classes]`` (`model_of` makes one of a scikit-learn estimator); ``arguments`` are passed on to it, one row an example (a
padding mask). It is explained in evaluation mode, and so is every module that a callable runs; afterwards all is as it
was: modes, gradients, hooks, buffers, the random numbers and the inputs.
"""

from .attribution import (
    class_activation_map,
    grad_cam,
    grad_cam_map,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    occlusion,
    saliency,
    smoothgrad,
)
from .effects import (
    AccumulatedEffects,
    AccumulatedInteraction,
    IndividualEffects,
    InteractionStrength,
    PartialDependence,
    PermutationImportance,
    accumulated_effects,
    accumulated_interaction,
    individual_effects,
    interaction_strength,
    partial_dependence,
    permutation_importance,
)
from .estimators import model_of
from .judging import (
    FaithfulnessCurve,
    cascading_randomization,
    completeness_gap,
    deletion_curve,
    insertion_curve,
    rank_correlation,
)
from .mechanisms import (
    LinearProbe,
    SparseAutoencoder,
    activation_patching,
    attention_patterns,
    control_labels,
    explained_variance,
    induction_scores,
    linear_probe,
    logit_lens,
    lookup_labels,
    restored_share,
    train_sparse_autoencoder,
    without_heads,
)

__all__ = [
    "AccumulatedEffects",
    "AccumulatedInteraction",
    "FaithfulnessCurve",
    "IndividualEffects",
    "InteractionStrength",
    "LinearProbe",
    "PartialDependence",
    "PermutationImportance",
    "SparseAutoencoder",
    "accumulated_effects",
    "accumulated_interaction",
    "activation_patching",
    "attention_patterns",
    "cascading_randomization",
    "class_activation_map",
    "completeness_gap",
    "control_labels",
    "deletion_curve",
    "explained_variance",
    "grad_cam",
    "grad_cam_map",
    "guided_backprop",
    "individual_effects",
    "induction_scores",
    "input_x_gradient",
    "insertion_curve",
    "integrated_gradients",
    "interaction_strength",
    "linear_probe",
    "logit_lens",
    "lookup_labels",
    "model_of",
    "occlusion",
    "partial_dependence",
    "permutation_importance",
    "rank_correlation",
    "restored_share",
    "saliency",
    "smoothgrad",
    "train_sparse_autoencoder",
    "without_heads",
]
