"""What each page gets on its way out."""

import re

import pytest
from page_frame import keep_signs, place_images, plain_code
from PIL import Image


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<p>3 % of 20 °C</p>", "<p>3\u00a0% of 20\u00a0°C</p>"),
        ("<p>a % b</p>", "<p>a % b</p>"),
        ("<pre>7 % 3</pre> 7 %", "<pre>7 % 3</pre> 7\u00a0%"),
        ("<code class='x'><span>7 % 3</span></code>", "<code class='x'><span>7 % 3</span></code>"),
        ("<img alt='3 % less'>3 %", "<img alt='3 % less'>3\u00a0%"),
        ("<script>a = 7 % 3</script>", "<script>a = 7 % 3</script>"),
    ],
)
def test_a_number_keeps_its_sign_but_not_in_code(body, kept):
    assert keep_signs(body) == kept


def test_pictures_say_their_size_and_all_but_the_first_wait(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    body = '<img alt="A" src="../_images/a.png" /><img src="../_images/a.png" width="9"><img src="../_static/logo.png">'
    first, second, third = re.findall("<img[^>]*>", place_images(body, {"a.png": tmp_path / "a.png"}))
    assert 'width="30" height="20"' in first
    assert "lazy" not in first
    assert 'loading="lazy"' in second
    assert "height" not in second
    assert third == '<img src="../_static/logo.png">'


def test_code_that_looks_like_the_code_around_it_has_no_tags():
    body = '<pre><span class="k">def</span><span class="w"> </span><span class="n">f</span><span class="p">():</span></pre>'
    assert plain_code(body) == '<pre><span class="k">def</span> f():</pre>'
