"""Drawing: takes arrays, returns figures, and is the only place that imports matplotlib."""

from .attributions import describe_attributions, show_attributions
from .curves import confusion_matrix, learning_curves
from .images import show_images
from .schedules import show_placement, show_schedule
from .style import PALETTE, use_book_style

__all__ = [
    "PALETTE",
    "confusion_matrix",
    "describe_attributions",
    "learning_curves",
    "show_attributions",
    "show_images",
    "show_placement",
    "show_schedule",
    "use_book_style",
]
