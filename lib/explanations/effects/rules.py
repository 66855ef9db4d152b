"""A box in the space of features, in words."""

import math
from collections.abc import Mapping, Sequence

__all__ = ["in_words"]


def in_words(limits: Mapping[int, tuple[float, float]], names: Sequence[str]) -> str:
    """``"2 < age ≤ 30 and class > 1"`` for limits (low, high] by feature; an infinite one is left out, no limits are ``"all"``.

    Raises:
        ValueError: fewer names than features.
    """
    if limits and len(names) <= max(limits):
        raise ValueError(f"names must name every column of the inputs, got {len(names)} of them: {list(names)}")
    words = []
    for feature, (low, high) in limits.items():
        name = names[feature]
        if low == -math.inf:
            words.append(f"{name} ≤ {_shown(high)}")
        elif high == math.inf:
            words.append(f"{name} > {_shown(low)}")
        else:
            words.append(f"{_shown(low)} < {name} ≤ {_shown(high)}")
    return " and ".join(words) or "all"


def _shown(limit: float) -> str:
    """Six digits, and at least one behind the decimal point: limits of large numbers may lie a few units apart."""
    return f"{limit:.{max(6, len(str(int(abs(limit)))) + 1)}g}"
