"""Drawing: takes arrays, returns figures, and is the only place that imports matplotlib."""

from .curves import confusion_matrix, learning_curves
from .images import show_images
from .style import PALETTE, use_book_style

__all__ = ["PALETTE", "confusion_matrix", "learning_curves", "show_images", "use_book_style"]
