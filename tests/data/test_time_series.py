"""The series is the published one, in order, split by date, with its gaps filled as said."""

import numpy as np
import pytest
import torch

from lib.data import load_mauna_loa, time_series
from lib.data.packaged import packaged_file


@pytest.fixture(scope="module")
def weeks():
    """Saturdays and weekly means of the file, NaN where there is none, read by another parser than the library's."""
    path = packaged_file("statsmodels", "datasets/co2/co2.csv", distribution="statsmodels")
    return np.genfromtxt(path, delimiter=",", skip_header=1)


def the_month(weeks, year, month):
    """Mean of the measured weeks of a month; NaN without one."""
    values = weeks[weeks[:, 0] // 100 == 100 * year + month, 1]
    values = values[~np.isnan(values)]
    return values.mean() if len(values) else np.nan


def joined(series):
    return torch.cat([series.train, series.validation, series.test]).double().numpy()


def test_each_measured_month_is_the_mean_of_its_weeks_and_stands_in_its_place(weeks):
    series = load_mauna_loa()
    year, month = series.first_month
    expected = [the_month(weeks, year + (month - 1 + n) // 12, (month - 1 + n) % 12 + 1) for n in range(526)]
    measured = ~np.isnan(expected)
    # float32 at 370 parts per million.
    np.testing.assert_allclose(joined(series)[measured], np.array(expected)[measured], rtol=1e-7)
    assert np.flatnonzero(~measured).tolist() == series.filled.nonzero().flatten().tolist()
    assert np.isnan(weeks[:, 1]).sum() == 59  # the publisher's 2,225 observations out of 2,284 weeks


def test_the_sets_begin_where_the_years_do(weeks):
    series = load_mauna_loa()
    for values, year in ((series.validation, 1986), (series.test, 1992)):
        assert values[0].item() == pytest.approx(the_month(weeks, year, 1), rel=1e-7)
    assert series.test[-1].item() == pytest.approx(the_month(weeks, 2001, 12), rel=1e-7)
    assert the_month(weeks, 2002, 1) != the_month(weeks, 2002, 1)  # the file ends


def test_months_without_a_week_lie_on_the_line_between_their_neighbours():
    series = load_mauna_loa()
    # June and October 1958 alone; February to April 1964 together.
    assert series.filled.nonzero().flatten().tolist() == [3, 7, 71, 72, 73]
    x = series.train
    torch.testing.assert_close(x[3], (x[2] + x[4]) / 2)
    torch.testing.assert_close(x[72], (x[70] + x[74]) / 2)
    torch.testing.assert_close(x[71], x[70] + (x[74] - x[70]) / 4)


def test_each_caller_has_the_same_numbers_and_a_copy_of_his_own():
    first = load_mauna_loa()
    kept = joined(first)
    for values in (first.train, first.validation, first.test, first.filled):
        values.zero_()
    second = load_mauna_loa()
    assert np.array_equal(joined(second), kept)
    assert second.filled.sum() == 5


def test_a_file_with_a_week_left_out_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "co2.csv"
    path.write_text("date,co2\n19580329,316.1\n19580412,317.6\n", encoding="utf-8")
    monkeypatch.setattr(time_series, "packaged_file", lambda *_, **__: path)
    with pytest.raises(ValueError, match="must follow each other by 7 days, got 1958-03-29 and 1958-04-12"):
        time_series._read.__wrapped__()
