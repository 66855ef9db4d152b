"""For every test of figures: drawn without a screen, in fresh settings, and closed afterwards."""

import matplotlib

matplotlib.use("agg")

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _close_figures():
    with mpl.rc_context():
        yield
    plt.close("all")
