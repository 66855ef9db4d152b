"""Why did the model answer that? Methods that attribute a score to the input, and checks of what they claim.

Every method is called as ``method(model, inputs, target, *, knobs)`` and returns a tensor shaped like ``inputs``. The model
is a module or any callable that returns ``[batch, classes]``; ``arguments`` are passed on to it, one row an example (a
padding mask). It is explained in evaluation mode, and so is every module that a callable runs; afterwards all is as it
was: modes, gradients, hooks, buffers, the random numbers and the inputs.
"""

from .completeness import completeness_gap
from .faithfulness import FaithfulnessCurve, deletion_curve, insertion_curve
from .grad_cam import class_activation_map, grad_cam, grad_cam_map
from .guided_backprop import guided_backprop
from .input_x_gradient import input_x_gradient
from .integrated_gradients import integrated_gradients
from .occlusion import occlusion
from .saliency import saliency
from .sanity_checks import cascading_randomization, rank_correlation
from .smoothgrad import smoothgrad

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
    "occlusion",
    "rank_correlation",
    "saliency",
    "smoothgrad",
]
