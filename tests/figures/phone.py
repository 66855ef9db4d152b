"""How large a figure's letters are on a phone."""

from matplotlib.figure import Figure
from matplotlib.text import Text

PIXELS = 358  # that a page of 390 has for a figure


def letters_on_a_phone(figure: Figure) -> float:
    """Size of the smallest letters, in CSS pixels, when the figure is as wide as a phone's page; infinite without letters."""
    figure.canvas.draw()  # which sets the labels of the ticks
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    smallest = min((text.get_fontsize() for text in texts), default=float("inf"))
    return smallest / 72 / figure.get_figwidth() * PIXELS
