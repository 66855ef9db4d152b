"""Labels carry the numbers of the rendered book, and works the names that stand in its sentences."""

import pytest

from tools.notebooks.files import ROOT
from tools.plain import Labels


@pytest.fixture(scope="module")
def labels():
    return Labels(ROOT)


def test_pages_are_numbered_by_part_and_place(labels):
    assert labels.numbers["chapters/formulas/index"] == "3"
    assert labels.numbers["chapters/formulas/convolution"] == "3.1"
    assert "chapters/check_your_setup" not in labels.numbers


def test_equations_and_figures_count_within_their_chapter(labels):
    page = "chapters/formulas/gradient_attribution"
    number = labels.numbers[page]
    assert labels.equations["eq-saliency"] == (page, f"{number}.1")
    counted = [place for at, place in labels.figures.values() if at == page]
    assert labels.figures["fig-attribution-nudge"] == (page, f"{number}.1")
    assert counted == [f"{number}.{place + 1}" for place in range(len(counted))]
    assert len(counted) > 1


def test_a_named_place_knows_its_page(labels):
    assert labels.places["erratum-000-11"] == "chapters/faq/source_errata"
    assert labels.places["ex-attribution-path"] == "chapters/formulas/gradient_attribution"


def test_works_are_named_as_in_a_sentence(labels):
    assert labels.authors_and_year("hendrycks2016gaussian") == ("Hendrycks and Gimpel", "2016")
    assert labels.authors_and_year("simonyan2014deep") == ("Simonyan et al.", "2014")
    assert labels.address("simonyan2014deep") == "https://arxiv.org/abs/1312.6034"
    assert labels.title("chapters/formulas/gradient_attribution") == "Gradient attribution"
