"""The table is the published one, split once, with the classes the way round that it says."""

import math

import pytest
import torch
from sklearn import datasets

from lib.data import load_breast_cancer


def test_the_two_sets_together_are_the_published_table():
    table = load_breast_cancer()
    published = datasets.load_breast_cancer()
    original = sorted(
        (bool(target), row.astype("float32").tobytes())
        for row, target in zip(published.data, published.target, strict=True)
    )
    ours = sorted(
        (label == 0, row.numpy().tobytes())
        for inputs, labels in ((table.train_inputs, table.train_labels), (table.test_inputs, table.test_labels))
        for row, label in zip(inputs, labels.tolist(), strict=True)
    )
    assert ours == original
    assert table.feature_names == tuple(published.feature_names)


def test_each_class_is_split_two_to_one():
    table = load_breast_cancer()
    assert table.train_labels.bincount().tolist() == [238, 141]
    assert table.test_labels.bincount().tolist() == [119, 71]
    assert (table.train_labels[:40].bincount(minlength=2) > 5).all()


def test_malignant_is_one_and_has_the_larger_nuclei():
    table = load_breast_cancer()
    assert table.class_names[1] == "malignant"
    area = table.train_inputs[:, table.feature_names.index("worst area")]
    # A factor of two and a half in the published table; the classes the wrong way round would give 0.4.
    assert area[table.train_labels == 1].mean() > 2 * area[table.train_labels == 0].mean()


def test_columns_stand_under_their_names():
    table = load_breast_cancer()
    column = {name: table.test_inputs[:, place] for place, name in enumerate(table.feature_names)}
    # Nuclei are nearly round: the published values stray from a circle's area by a tenth at most.
    circle = math.pi * column["mean radius"].square()
    torch.testing.assert_close(column["mean area"], circle, rtol=0.1, atol=0)
    for property_ in ("radius", "texture", "concave points"):
        assert (column[f"worst {property_}"] >= column[f"mean {property_}"]).all()


def test_each_caller_has_the_same_numbers_and_a_copy_of_his_own():
    first = load_breast_cancer()
    kept = first.test_inputs.clone()
    first.test_inputs.zero_()
    first.train_labels.zero_()
    second = load_breast_cancer()
    assert torch.equal(second.test_inputs, kept)
    assert second.train_labels.sum() == 141


def test_the_split_neither_uses_nor_moves_torchs_global_randomness():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    table = load_breast_cancer()
    assert torch.equal(torch.get_rng_state(), before)
    # Written down once: the chapter on interpretability talks about this very tumour.
    assert table.test_inputs[17, 0].item() == pytest.approx(17.75)
    assert table.test_labels[17] == 1
