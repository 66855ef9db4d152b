"""Each table is the published one, with its columns and classes the way round that it says."""

import math

import pytest
import torch
from sklearn import datasets

from lib.data import load_breast_cancer, load_diabetes, load_titanic, tabular
from lib.data.packaged import packaged_file


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


def all_rows(*tensors):
    """Training and test rows together, sorted, with their answers as the last column."""
    train, answers, test, test_answers = tensors
    table = torch.cat(
        [torch.cat([train, answers[:, None].float()], 1), torch.cat([test, test_answers[:, None].float()], 1)]
    )
    return sorted(tuple(row) for row in table.nan_to_num(-1).tolist())


def test_the_passengers_are_those_of_the_list_but_one():
    table = load_titanic()
    path = packaged_file("bokeh_sampledata", "_data/titanic_all.csv", distribution="bokeh_sampledata")
    expected = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        travelled, age, sex, survived = line.rsplit(",", 4)[-4:]
        if travelled in ("1st", "2nd", "3rd"):
            number = {"1st": 1.0, "2nd": 2.0, "3rd": 3.0}[travelled]
            age = torch.tensor(float(age)).item() if age else -1.0  # as float32 holds it
            expected.append((number, float(sex == "male"), age, float(survived)))
    assert len(expected) == 1312
    assert all_rows(table.train_inputs, table.train_labels, table.test_inputs, table.test_labels) == sorted(expected)


def test_each_outcome_on_the_titanic_is_split_two_to_one():
    table = load_titanic()
    assert table.train_labels.bincount().tolist() == [575, 300]
    assert table.test_labels.bincount().tolist() == [287, 150]


def test_women_survived_more_often_and_their_column_says_so():
    table = load_titanic()
    male = table.train_inputs[:, table.feature_names.index("male")]
    survived = table.train_labels.float()
    assert survived[male == 0].mean() > 0.6  # two thirds in the list; the column the wrong way round would give a sixth
    assert survived[male == 1].mean() < 0.25


def test_an_age_is_known_more_often_of_those_who_survived_in_each_class_and_sex():
    table = load_titanic()
    inputs = torch.cat([table.train_inputs, table.test_inputs])
    survived = torch.cat([table.train_labels, table.test_labels]).float()
    known = ~inputs[:, 2].isnan()
    assert known.sum() == 756
    for travelled in (1, 2, 3):
        for male in (0, 1):
            group = (inputs[:, 0] == travelled) & (inputs[:, 1] == male)
            assert survived[group & known].mean() > survived[group & ~known].mean()


def test_the_patients_are_the_published_ones_in_their_own_units():
    table = load_diabetes()
    published = datasets.load_diabetes(scaled=False)
    expected = sorted(
        (*torch.tensor(row).float().tolist(), float(target))
        for row, target in zip(published.data, published.target, strict=True)
    )
    ours = all_rows(table.train_inputs, table.train_progression, table.test_inputs, table.test_progression)
    assert ours == expected
    column = {name: table.train_inputs[:, place] for place, name in enumerate(table.feature_names)}
    assert set(column["sex"].tolist()) == {1, 2}
    assert 19 <= column["age"].min() <= column["age"].max() <= 79  # years, as Efron and others give them
    # The eighth column is the quotient of two others, in most rows rounded to a whole number.
    quotient = (column["cholesterol"] / column["HDL"] - column["cholesterol/HDL"]).abs()
    assert quotient.median() < 0.5


@pytest.mark.parametrize("load", [load_titanic, load_diabetes])
def test_a_split_is_a_draw_of_its_own_the_same_at_every_call(load):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = load(1).train_inputs, load(1).train_inputs, load(2).train_inputs
    assert torch.equal(first.nan_to_num(-1), again.nan_to_num(-1))
    assert not torch.equal(first.nan_to_num(-1), other.nan_to_num(-1))
    first.zero_()
    assert load(1).train_inputs.nan_to_num(-1).sum() == again.nan_to_num(-1).sum()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("load", [load_titanic, load_diabetes])
def test_a_split_that_is_no_number_from_zero_is_refused(load):
    with pytest.raises(ValueError, match="split must be at least 0, got -1"):
        load(-1)
    with pytest.raises(TypeError, match=r"split must be an int, got float 1\.0"):
        load(1.0)


@pytest.mark.parametrize("line", ["name,class,age,sex,survived", "name,class,age,sex,survived\na,1st,,unknown,1"])
def test_another_file_is_refused(monkeypatch, tmp_path, line):
    path = tmp_path / "titanic_all.csv"
    path.write_text(line + "\n", encoding="utf-8")
    monkeypatch.setattr(tabular, "packaged_file", lambda *_, **__: path)
    with pytest.raises(ValueError, match="passengers must be 1312 women and men with a class"):
        tabular._passengers.__wrapped__()
