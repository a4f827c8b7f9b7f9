"""Savitzky-Golay filters as weights on a buffer, for its newest sample.

- `smoothing_matrix`: the filter that smooths a whole buffer.
- `newest_weights`: one vector per filter: value or derivative at the newest sample.

A filter fits a polynomial to a window by least squares and takes its value or a derivative. At
the ends of a buffer the window stays whole and the fit is read off its center, which is how
`scipy.signal.savgol_filter` treats them by default; the tests compare the two.
"""

from __future__ import annotations

import math

import numpy as np

from rewardloom.envs.carla.scoring.state import F64

__all__ = ["newest_weights", "smoothing_matrix"]


def _fit_weights(window: int, order: int, at: float, derivative: int, step: float) -> F64:
    """Weights on `window` samples that give a derivative of their fit at sample number `at`."""
    powers = np.vander(np.arange(window) - at, order + 1, increasing=True)
    return np.linalg.pinv(powers)[derivative] * (math.factorial(derivative) / step**derivative)


def newest_weights(samples: int, window: int, order: int, derivative: int, step: float) -> F64:
    """Return (samples,) the weights that give the filtered value at the newest sample.

    Args:
        samples: Length of the buffer, at least `window`.
        window: Samples of one fit.
        order: Degree of the polynomial.
        derivative: 0 for the value, 1 or 2 for a derivative.
        step: Seconds between samples.
    """
    weights = np.zeros(samples)
    weights[samples - window :] = _fit_weights(window, order, window - 1, derivative, step)
    return weights


def smoothing_matrix(samples: int, window: int, order: int) -> F64:
    """Return (samples, samples) the matrix that smooths a buffer of that length.

    An even window reads its fit half a sample past its lower middle sample, as SciPy's does.
    """
    half = window // 2
    inner = _fit_weights(window, order, half if window % 2 else half - 0.5, 0, 1.0)
    before = half if window % 2 else half - 1
    matrix = np.zeros((samples, samples))
    for sample in range(samples):
        if sample < half:
            first, weights = 0, _fit_weights(window, order, sample, 0, 1.0)
        elif sample >= samples - half:
            first = samples - window
            weights = _fit_weights(window, order, sample - first, 0, 1.0)
        else:
            first, weights = sample - before, inner
        matrix[sample, first : first + window] = weights
    return matrix
