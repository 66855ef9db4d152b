"""An estimator as a model: the same numbers as its own methods give, in a form that the methods take."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import model_of, occlusion

X = torch.randn(60, 4, generator=seeded(0))
LABELS = ((X[:, 0] + X[:, 1] ** 2 > 0.5).long() + (X[:, 2] > 1).long()).numpy()


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(5, random_state=0), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["linear", "forest", "pipeline"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_classifier_gives_its_probabilities(estimator, dtype):
    estimator.fit(X.numpy(), LABELS)
    found = model_of(estimator)(X.to(dtype))
    assert found.shape == (60, 3)
    np.testing.assert_array_equal(found.numpy(), estimator.predict_proba(X.to(dtype).numpy()))


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_gives_one_column_an_output(outputs):
    labels = np.stack([LABELS, -LABELS], 1)[:, :outputs].squeeze()
    estimator = LinearRegression().fit(X.numpy(), labels)
    found = model_of(estimator)(X)
    assert found.shape == (60, outputs)
    np.testing.assert_array_equal(found.numpy().squeeze(), estimator.predict(X.numpy()))


def test_columns_of_a_frame_are_named_again():
    # scikit-learn warns when names are missing, and a warning fails here; a ColumnTransformer would fail by itself.
    frame = pd.DataFrame(X.numpy(), columns=list("abcd"))
    estimator = HistGradientBoostingRegressor(max_iter=3, random_state=0).fit(frame, LABELS)
    np.testing.assert_array_equal(model_of(estimator)(X)[:, 0].numpy(), estimator.predict(frame))


def test_a_method_without_gradient_explains_it():
    estimator = LinearRegression().fit(X.numpy(), X.numpy() @ [1.0, -2.0, 3.0, 0.5])
    found = occlusion(model_of(estimator), X, 0, window=(1,))
    assert_close(found, X * torch.tensor([1.0, -2.0, 3.0, 0.5]), rtol=1e-4, atol=1e-5)  # a least-squares fit in float32


def test_columns_of_words_are_refused_with_the_rule():
    frame = pd.DataFrame({"colour": ["red", "blue"] * 30, "size": X[:, 0].numpy()})
    encoded = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    model = model_of(make_pipeline(encoded, LinearRegression()).fit(frame, LABELS))
    with pytest.raises(TypeError, match="estimator must predict from numbers alone, which tensors hold"):
        model(X[:, :2])
