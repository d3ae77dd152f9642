"""The interval of a share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["NORMAL_QUANTILE", "wilson"]

#: The normal distribution's 97.5 % quantile.
NORMAL_QUANTILE: Final = 1.959963984540054


def wilson(
    share: npt.ArrayLike, n: npt.ArrayLike, quantile: npt.ArrayLike = NORMAL_QUANTILE
) -> tuple[FloatArray, FloatArray]:
    """Ends of the score interval of shares (Wilson 1927), elementwise.

    For shares of sentences that resemble each other, ``n`` is their effective number, and ``quantile`` may
    be of Student's t (Korn and Graubard 1998; Dean and Pagano 2015).

    Args:
        share: in [0, 1].
        n: observations behind each, above 0; need not be whole.
        quantile: of the interval's upper end, above 0; by default for 95 %.

    Returns:
        Lower and upper ends, in [0, 1], of the shape that the arguments broadcast to; NaN where one of
        them is. A share of 0 or 1 is an end itself.
    """
    p, n, z = (np.asarray(given, dtype=np.float64) for given in (share, n, quantile))
    shrunk = 1.0 + z**2 / n
    middle = (p + z**2 / (2.0 * n)) / shrunk
    half = z * np.sqrt(p * (1.0 - p) / n + z**2 / (4.0 * n**2)) / shrunk
    # Rounding would miss an end that is the share itself; the product keeps NaN what is.
    low: FloatArray = np.where(p == 0.0, 0.0 * half, np.clip(middle - half, 0.0, 1.0))
    high: FloatArray = np.where(p == 1.0, 1.0 + 0.0 * half, np.clip(middle + half, 0.0, 1.0))
    return low, high
