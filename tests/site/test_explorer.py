"""The live figure of the first page computes what torch computes, and can be used without a mouse or without JavaScript."""

import json
import re
from fractions import Fraction

import pytest
import torch
from site_browser import DESK, visitor
from torch.nn import functional as F

from lib.data import load_mnist

pytestmark = pytest.mark.site

DIGIT = 17  # the test digit whose pixels stand in intro.md
KERNELS = {
    "Vertical edges": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "Horizontal edges": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "Outline": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    "Blur": [0.11] * 9,
    "Sharpen": [0, -1, 0, -1, 5, -1, 0, -1, 0],
    "Copy": [0, 0, 0, 0, 1, 0, 0, 0, 0],
}
ASYMMETRIC = [0.5, -3, 2, 1.25, 0, -1, 4, -0.75, 2.5]  # differs from its own flip and transpose


@pytest.fixture
def explorer(desk):
    return desk.open("intro.html").page.locator(".book-explorer")


@pytest.fixture(scope="module")
def digit():
    """The pixels as the page shows them, from 0 to 255."""
    return load_mnist().test_images[DIGIT, 0].double() * 255


def computed(explorer):
    return torch.tensor(explorer.evaluate("host => host.explorer.output"), dtype=torch.float64).view(26, 26)


def by_torch(digit, kernel):
    return F.conv2d(digit[None, None], torch.tensor(kernel, dtype=torch.float64).view(1, 1, 3, 3))[0, 0]


def close(found, expected):
    # Pixels are embedded as whole numbers, as the data holds them; the loader's are float32 shares of 255 (relative
    # error 6e-8, times 255, weights of at most 8 and nine terms).
    return torch.allclose(found, expected, rtol=0, atol=2e-3)


def type_kernel(explorer, kernel):
    for field, weight in zip(explorer.locator("[data-part=weight]").all(), kernel, strict=True):
        field.fill(str(weight))


def test_the_embedded_digit_is_the_one_in_the_data(explorer, digit):
    pixels = json.loads(explorer.locator("[data-part=digit]").text_content())
    assert pixels == digit.round().int().flatten().tolist()


@pytest.mark.parametrize("name", KERNELS)
def test_each_preset_agrees_with_torch(explorer, digit, name):
    explorer.locator("[data-part=preset]").select_option(name)
    assert close(computed(explorer), by_torch(digit, KERNELS[name]))


def test_no_preset_is_left_out(explorer):
    names = explorer.locator("[data-part=preset] option").all_text_contents()
    assert names == [*KERNELS, "Your own"]


def test_a_kernel_typed_by_hand_and_its_flip_agree_with_torch(explorer, digit):
    type_kernel(explorer, ASYMMETRIC)
    assert close(computed(explorer), by_torch(digit, ASYMMETRIC))
    explorer.locator("[data-part=flip]").check()
    assert close(computed(explorer), by_torch(digit, ASYMMETRIC[::-1]))
    assert not close(computed(explorer), by_torch(digit, ASYMMETRIC))


def test_the_sum_is_read_at_the_window_that_the_keyboard_moved(explorer, digit, desk):
    type_kernel(explorer, ASYMMETRIC)
    expected = by_torch(digit, ASYMMETRIC)
    explorer.locator("[data-part=row]").focus()
    desk.page.keyboard.press("Home")
    for _ in range(9):
        desk.page.keyboard.press("ArrowRight")
    explorer.locator("[data-part=column]").focus()
    desk.page.keyboard.press("End")
    for _ in range(11):
        desk.page.keyboard.press("ArrowLeft")
    text = explorer.locator("[data-part=sum]").inner_text().replace("−", "-")
    assert text.startswith("Row 9, column 14:")
    shown = Fraction(re.search(r"= (-?[\d.]+)$", text)[1])
    assert float(shown) == pytest.approx(expected[9, 14].item(), abs=2e-3)
    products = re.findall(r"(-?[\d.]+) × \(?(-?[\d.]+)\)?", text)
    assert [float(weight) for _, weight in products] == ASYMMETRIC
    assert sum(Fraction(pixel) * Fraction(weight) for pixel, weight in products) == shown


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_displayed_adds_up_to_the_digit(explorer, name):
    explorer.locator("[data-part=preset]").select_option(name)
    text = explorer.locator("[data-part=sum]").inner_text().replace("−", "-")
    products = re.findall(r"(-?[\d.]+) × \(?(-?[\d.]+)\)?", text)
    shown = Fraction(re.search(r"= (-?[\d.]+)$", text)[1])
    assert sum(Fraction(pixel) * Fraction(weight) for pixel, weight in products) == shown


def test_a_sum_wears_the_colour_of_its_sign_in_the_picture(explorer):
    strong, sums = explorer.locator("[data-part=sum] strong"), computed(explorer)
    seen = set()
    for row in range(5, 12):
        explorer.locator("[data-part=row]").fill(str(row))
        value = sums[row, 13].item()
        assert strong.get_attribute("class") == ("minus" if value < 0 else "plus")
        seen.add(value < 0)
    assert seen == {True, False}
    red, green, blue = (
        int(part)
        for part in re.findall(
            r"\d+",
            explorer.locator("strong").evaluate(
                "strong => { strong.className = 'minus'; return getComputedStyle(strong).color; }"
            ),
        )
    )
    assert red > green > blue  # orange, as negative values are in every figure of the book


def test_pointing_at_the_result_moves_the_window(explorer):
    canvas = explorer.locator("[data-part=output]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 5.5 / 26, "y": box["height"] * 20.5 / 26})
    assert explorer.locator("[data-part=sum]").inner_text().startswith("Row 20, column 5:")


def test_without_javascript_a_still_picture_takes_its_place(browser, address):
    still = visitor(browser, address, DESK, java_script_enabled=False)
    still.page.goto(address + "intro.html")
    assert still.page.locator("img.explorer-still").is_visible()
    assert not still.page.locator(".book-explorer").is_visible()
    still.page.context.close()
