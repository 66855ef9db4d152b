"""What in the input made the score what it is? One number for each entry of each example."""

from .attention_rollout import attention_rollout, gradient_weighted_attention
from .deep_lift import deep_lift
from .expected_gradients import expected_gradients
from .grad_cam import class_activation_map, grad_cam, grad_cam_map
from .grad_cam_plus_plus import grad_cam_plus_plus
from .guided_backprop import guided_backprop
from .input_x_gradient import input_x_gradient
from .integrated_gradients import integrated_gradients
from .lime import lime
from .occlusion import occlusion
from .rise import rise
from .saliency import saliency
from .shapley import exact_shapley, kernel_shap, permutation_shapley, shapley_value
from .smoothgrad import smoothgrad
from .tree_shap import tree_shap

__all__ = [
    "attention_rollout",
    "class_activation_map",
    "deep_lift",
    "exact_shapley",
    "expected_gradients",
    "grad_cam",
    "grad_cam_map",
    "grad_cam_plus_plus",
    "gradient_weighted_attention",
    "guided_backprop",
    "input_x_gradient",
    "integrated_gradients",
    "kernel_shap",
    "lime",
    "occlusion",
    "permutation_shapley",
    "rise",
    "saliency",
    "shapley_value",
    "smoothgrad",
    "tree_shap",
]
