"""A scikit-learn estimator as a model on tensors, so that every method that needs no gradient explains it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.validation import check_floating, check_rank

__all__ = ["model_of"]


def model_of(estimator) -> Callable[[Float[Tensor, "batch features"]], Float[Tensor, "batch classes"]]:
    """What a fitted estimator predicts, as tensors: a classifier's probabilities, a regressor's one column (target 0).

    Columns of classes stand in the order of ``classes_``. The numbers keep the estimator's own precision, mostly
    float64, and lie where the inputs do. An estimator fitted on a DataFrame gets its column names back.

    >>> from sklearn.linear_model import LinearRegression
    >>> model_of(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]))(torch.tensor([[2.0], [3.0]])).round(decimals=4)
    tensor([[5.],
            [7.]], dtype=torch.float64)

    Raises:
        TypeError: neither a classifier with ``predict_proba`` nor a regressor; one of columns that hold words (at the call).
        ValueError: inputs that are no table; probabilities for several outputs at once; not fitted (at the call).
    """
    predict = getattr(estimator, "predict_proba", None)
    if predict is None:
        predict = _prediction_of_a_regressor(estimator)

    def model(inputs: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        check_rank("inputs", inputs, "batch features")
        check_floating("inputs", inputs)
        halves = inputs.dtype in (torch.bfloat16, torch.float16)  # which NumPy or the estimator would not take
        table = (inputs.detach().float() if halves else inputs.detach()).cpu().numpy()
        if hasattr(estimator, "feature_names_in_"):
            import pandas as pd  # there, since the estimator was fitted on its frame

            table = pd.DataFrame(table, columns=estimator.feature_names_in_)
        try:
            outputs = predict(table)
        except TypeError as error:
            raise TypeError(
                f"estimator must predict from numbers alone, which tensors hold; words have to be encoded before: {error}"
            ) from error
        if isinstance(outputs, list):
            raise ValueError(
                f"estimator must be one classifier with one row of probabilities an example, got {len(outputs)} outputs; "
                "explain one output at a time"
            )
        outputs = torch.as_tensor(outputs, device=inputs.device)
        return outputs[:, None] if outputs.ndim == 1 else outputs

    return model


def _prediction_of_a_regressor(estimator) -> Callable:
    """What it predicts; a classifier's ``predict`` names classes, whose differences mean nothing."""
    from sklearn.base import BaseEstimator, is_regressor

    if not (isinstance(estimator, BaseEstimator) and is_regressor(estimator)):
        raise TypeError(
            "estimator must be a classifier with predict_proba or a regressor of scikit-learn's kind, "
            f"got {type(estimator).__name__}"
        )
    return estimator.predict
