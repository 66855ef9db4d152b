"""Drawing: takes arrays, returns figures, and is the only place that imports matplotlib."""

from .attributions import show_attributions
from .confusions import confusion_matrix
from .descriptions import describe_attributions
from .images import show_images
from .style import PALETTE, SIGNS, WIDTH, columns_that_fit, use_book_style
from .trees import show_tree

__all__ = [
    "PALETTE",
    "SIGNS",
    "WIDTH",
    "columns_that_fit",
    "confusion_matrix",
    "describe_attributions",
    "show_attributions",
    "show_images",
    "show_tree",
    "use_book_style",
]
