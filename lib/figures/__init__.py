"""Drawing: takes arrays, returns figures, and is the only place that imports matplotlib."""

from .attributions import show_attributions
from .curves import confusion_matrix, learning_curves
from .descriptions import describe_attributions
from .images import show_images
from .schedules import show_placement, show_schedule
from .style import PALETTE, SIGNS, WIDTH, columns_that_fit, letters_on_a_phone, use_book_style
from .trees import show_tree

__all__ = [
    "PALETTE",
    "SIGNS",
    "WIDTH",
    "columns_that_fit",
    "confusion_matrix",
    "describe_attributions",
    "learning_curves",
    "letters_on_a_phone",
    "show_attributions",
    "show_images",
    "show_placement",
    "show_schedule",
    "show_tree",
    "use_book_style",
]
