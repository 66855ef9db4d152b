"""For every test: shapes in annotations are enforced, and the default random numbers are the same."""

import os

# Before torch is loaded, and for the processes that tests start: several workers with several threads each wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import jaxtyping
import pytest
from typechecker import enforce_annotations

# Before anything imports lib.
enforce_annotations("lib")

# The same examples in every run, and no verdict from a clock: a busy machine is not a wrong answer.
hypothesis.settings.register_profile("book", deadline=None, derandomize=True)
hypothesis.settings.load_profile("book")


@pytest.fixture(autouse=True)
def _seeded():
    """Each test starts from the same random numbers, alone or in the whole run."""
    import torch  # here, so that the process that only hands out the tests does not load it

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _annotations(request):
    """A test marked ``bad_input`` meets the library as its users do: no annotation is enforced."""
    as_a_user = request.node.get_closest_marker("bad_input") is not None
    jaxtyping.config.update("jaxtyping_disable", as_a_user)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
