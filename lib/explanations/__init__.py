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
from .estimators import model_of
from .judging import (
    FaithfulnessCurve,
    cascading_randomization,
    completeness_gap,
    deletion_curve,
    insertion_curve,
    rank_correlation,
)

__all__ = [
    "FaithfulnessCurve",
    "cascading_randomization",
    "class_activation_map",
    "completeness_gap",
    "deletion_curve",
    "grad_cam",
    "grad_cam_map",
    "guided_backprop",
    "input_x_gradient",
    "insertion_curve",
    "integrated_gradients",
    "model_of",
    "occlusion",
    "rank_correlation",
    "saliency",
    "smoothgrad",
]
