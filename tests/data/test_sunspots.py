"""The series is the published one, year by year, divided at 1900."""

import numpy as np
import pytest
import torch

from lib.data import load_sunspots, sunspots
from lib.data.packaged import packaged_file


def test_every_year_stands_in_its_place():
    series = load_sunspots()
    path = packaged_file("statsmodels", "datasets/sunspots/sunspots.csv", distribution="statsmodels")
    table = np.genfromtxt(path, delimiter=",", skip_header=1)  # another parser than the library's
    joined = torch.cat([series.train, series.test]).double().numpy()
    # float32 at 190 and one decimal.
    np.testing.assert_allclose(joined, table[:, 1], rtol=1e-7)
    assert table[:, 0].tolist() == [series.first_year + n for n in range(len(joined))]
    # The highest year of the series, known from its record: 1957.
    assert series.test.argmax() == 1957 - 1900
    assert series.test.max() == pytest.approx(190.2)


def test_each_caller_has_a_copy_of_his_own():
    first = load_sunspots()
    first.train.zero_()
    first.test.zero_()
    assert load_sunspots().train[0] == 5
    assert load_sunspots().test.any()


def test_a_file_with_a_year_left_out_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "sunspots.csv"
    path.write_text('"YEAR","SUNACTIVITY"\n1700,5\n1702,16\n', encoding="utf-8")
    monkeypatch.setattr(sunspots, "packaged_file", lambda *_, **__: path)
    with pytest.raises(ValueError, match="from 1700 to 2008 without a gap, got 2 of them"):
        sunspots._read.__wrapped__()
