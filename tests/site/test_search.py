"""Search as a reader uses it: a hyphen forgotten, chapters first, and on the page the words marked and in sight."""

import re

import pytest

pytestmark = pytest.mark.site


def results(desk, query):
    page = desk.open(f"search.html?q={query}").page
    page.wait_for_function("document.querySelector('.search-summary')?.innerText.includes('finished')")
    return page, page.eval_on_selector_all(
        "ul.search li > a", "links => links.map((link) => link.getAttribute('href'))"
    )


@pytest.mark.parametrize(
    ("query", "chapter"),
    [
        ("gradcam", "chapters/formulas/gradient_attribution.html"),
        ("grad-cam", "chapters/formulas/gradient_attribution.html"),
        ("Grad CAM", "chapters/formulas/gradient_attribution.html"),
        ("allreduce", "chapters/code/data_parallelism.html"),
        ("all-reduce", "chapters/code/data_parallelism.html"),
        ("occlusion", "chapters/code/explain_an_image_classifier.html"),
        ("smoothgrad", "chapters/formulas/gradient_attribution.html"),
    ],
)
def test_a_word_is_found_with_and_without_its_hyphen_chapters_first(desk, query, chapter):
    _, links = results(desk, query)
    assert any(link.startswith(chapter) for link in links)
    kinds = [link.startswith("chapters/") and "/faq/" not in link for link in links]
    assert kinds == sorted(kinds, reverse=True), "a page of another kind stands above a chapter"
    assert any(link.startswith("reference/glossary.html") for link in links)
    library = [at for at, link in enumerate(links) if link.startswith(("reference/api/", "_modules/"))]
    assert all(at > len(links) - 1 - len(library) for at in library), "the library stands above a page"


@pytest.mark.parametrize(
    ("query", "chapter"),
    [
        ("ALE", "chapters/formulas/global_effects.html"),  # its stem is also that of "al" in "et al."
        ("dropout", "chapters/code/train_an_rnn.html"),  # in no title; before, the first by name
        ("LSTM", "chapters/formulas/recurrence_and_gates.html"),
        ("卷积", "chapters/concepts/convolutional_networks.html"),
        ("注意力", "reference/glossary.html"),
        ("temperature", "chapters/formulas/softmax_and_cross_entropy.html"),
    ],
)
def test_the_page_that_is_about_the_word_comes_first(desk, query, chapter):
    _, links = results(desk, query)
    assert links[0].startswith(chapter)


@pytest.mark.parametrize("query", ["occlusion", "smoothgrad", "gradcam", "grad-cam"])
def test_a_hit_is_marked_and_in_sight(desk, query):
    page, _ = results(desk, query)
    page.locator("ul.search li > a").first.click()
    page.wait_for_selector(".bd-article .highlighted", state="attached")  # the first may be folded away
    marked = page.eval_on_selector_all(".bd-article .highlighted", "hits => hits.map((hit) => hit.textContent)")
    assert {re.sub("[-_]", "", word.lower()) for word in marked} == {query.replace("-", "")}
    page.wait_for_function(
        """() => [...document.querySelectorAll('.highlighted')].some((hit) => {
          const box = hit.getBoundingClientRect();
          return box.height > 0 && box.top > 0 && box.bottom < innerHeight;
        })"""
    )
    # Marked once, not on the next page.
    page.reload()
    assert page.locator(".highlighted").count() == 0


def test_a_result_shows_the_text_around_the_hit(desk):
    page, _ = results(desk, "gradcam")
    page.wait_for_selector("ul.search p.context")
    assert "grad-cam" in page.locator("ul.search p.context").first.inner_text().lower()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_magnifier_stands_beside_the_first_letter(desk, width):
    page = desk.open("intro.html").page
    page.set_viewport_size({"width": width, "height": 900})
    page.keyboard.press("Control+k")
    field = page.locator("#pst-search-dialog input")
    field.wait_for(state="visible")
    letters_from = field.evaluate(
        "field => field.getBoundingClientRect().left + parseFloat(getComputedStyle(field).paddingLeft)"
    )
    icon = page.locator("#pst-search-dialog i").bounding_box()
    assert icon["width"] > 0
    assert icon["x"] + icon["width"] <= letters_from
    page.keyboard.press("Escape")
