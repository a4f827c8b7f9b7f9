"""Reference lines of OpenDRIVE roads, evaluated on arrays of the road coordinate s.

- `Cubics`: piecewise cubic polynomials (lane widths, lane offsets, elevation).
- `Piece`: one `<geometry>` of a plan view.
- `ReferenceLine`: position, heading and curvature of a road's reference line at s.

Coordinates here are OpenDRIVE's own (right-handed, y to the left of x).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Cubics", "Frame", "Piece", "ReferenceLine"]

F64 = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


class Cubics:
    """Piecewise cubics a + b ds + c ds^2 + d ds^3, with ds counted from the record's start.

    Args:
        starts: Where each record begins, ascending, (n,); no record means 0 everywhere.
        coefficients: a, b, c, d of each, (n, 4).
    """

    def __init__(self, starts: F64, coefficients: F64) -> None:
        self.starts = starts
        self.coefficients = coefficients

    def value(self, s: F64) -> F64:
        """Return the value at each s; before the first record, that record goes on backwards."""
        if not self.starts.size:
            return np.zeros_like(s)
        row = self._row(s)
        a, b, c, d = self.coefficients[row].T
        ds = s - self.starts[row]
        return a + ds * (b + ds * (c + ds * d))

    def slope(self, s: F64) -> F64:
        """Return the derivative at each s."""
        if not self.starts.size:
            return np.zeros_like(s)
        row = self._row(s)
        _, b, c, d = self.coefficients[row].T
        ds = s - self.starts[row]
        return b + ds * (2 * c + ds * 3 * d)

    def _row(self, s: F64) -> npt.NDArray[np.int64]:
        return np.maximum(np.searchsorted(self.starts, s, side="right") - 1, 0)


class Frame(NamedTuple):
    """Where a line is at each s: position (m), heading (rad) and curvature (1/m), each (n,)."""

    x: F64
    y: F64
    heading: F64
    curvature: F64


class Piece(NamedTuple):
    """One `<geometry>`: where it starts, and its shape.

    Attributes:
        s: Road coordinate of its start.
        x: Position of its start; likewise `y`.
        heading: Direction at its start.
        length: Its length.
        shape: `line`, `arc`, `spiral`, `poly3` or `paramPoly3`.
        parameters: `arc`: curvature. `spiral`: curvature at start and end. `poly3`: a, b, c, d.
            `paramPoly3`: aU, bU, cU, dU, aV, bV, cV, dV and the parameter per metre.
    """

    s: float
    x: float
    y: float
    heading: float
    length: float
    shape: str
    parameters: tuple[float, ...]

    def at(self, u: F64) -> Frame:
        """Return the frames at distances `u` from the piece's start."""
        if self.shape in ("line", "arc", "spiral"):
            local = _clothoid(self._curvatures(), self.length, u)
        elif self.shape == "poly3":
            local = _poly3(self.parameters, self.length, u)
        else:
            local = _parametric(self.parameters[:8], u * self.parameters[8])
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return Frame(
            self.x + cos * local.x - sin * local.y,
            self.y + sin * local.x + cos * local.y,
            self.heading + local.heading,
            local.curvature,
        )

    def _curvatures(self) -> tuple[float, float]:
        if self.shape == "line":
            return 0.0, 0.0
        return self.parameters[0], self.parameters[-1]


class ReferenceLine:
    """A road's plan view.

    Args:
        pieces: Its geometries, ascending in s; at least one.
    """

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self.pieces = pieces
        self._starts = np.array([piece.s for piece in pieces])

    def at(self, s: F64) -> Frame:
        """Return the frames at each s (the last piece goes on beyond the road's end)."""
        row = np.maximum(np.searchsorted(self._starts, s, side="right") - 1, 0)
        frame = Frame(*(np.empty_like(s) for _ in range(4)))
        for number in np.unique(row):
            here = row == number
            piece = self.pieces[number]
            for column, values in zip(frame, piece.at(s[here] - piece.s), strict=True):
                column[here] = values
        return frame


def _clothoid(curvatures: tuple[float, float], length: float, u: F64) -> Frame:
    """Curvature linear in u: heading(u) = k0 u + k' u^2 / 2, position by integrating it."""
    first, last = curvatures
    rate = (last - first) / length
    heading = u * (first + 0.5 * rate * u)
    curvature = first + rate * u
    if rate:
        along = 0.5 * u[:, None] * (_NODES + 1)
        angle = along * (first + 0.5 * rate * along)
        half = 0.5 * u
        return Frame(
            half * (np.cos(angle) @ _WEIGHTS), half * (np.sin(angle) @ _WEIGHTS), heading, curvature
        )
    if first:
        # sin(a)/a and (1 - cos(a))/a by sinc keep their digits for slight bends.
        half = heading / 2
        chord = u * np.sinc(half / np.pi)
        return Frame(chord * np.cos(half), chord * np.sin(half), heading, curvature)
    return Frame(u.copy(), np.zeros_like(u), heading, curvature)


def _poly3(coefficients: tuple[float, ...], length: float, u: F64) -> Frame:
    """A cubic v(w) = a + b w + c w^2 + d w^3, at distances u along the curve."""
    a, b, c, d = coefficients
    grid = np.linspace(0.0, length, max(int(length * 4), 16) + 1)
    step = grid[1]
    inner = grid[:-1, None] + 0.5 * step * (_NODES + 1)
    speed = np.hypot(1.0, b + inner * (2 * c + inner * 3 * d))
    travelled = np.concatenate(([0.0], np.cumsum(0.5 * step * (speed @ _WEIGHTS))))
    w = np.interp(u, travelled, grid)
    slope = b + w * (2 * c + w * 3 * d)
    bend = 2 * c + 6 * d * w
    return Frame(
        w, a + w * (b + w * (c + w * d)), np.arctan(slope), bend / np.hypot(1.0, slope) ** 3
    )


def _parametric(coefficients: tuple[float, ...], p: F64) -> Frame:
    """Both local coordinates are cubics of the parameter p."""
    au, bu, cu, du, av, bv, cv, dv = coefficients
    u, v = au + p * (bu + p * (cu + p * du)), av + p * (bv + p * (cv + p * dv))
    du1, dv1 = bu + p * (2 * cu + 3 * du * p), bv + p * (2 * cv + 3 * dv * p)
    du2, dv2 = 2 * cu + 6 * du * p, 2 * cv + 6 * dv * p
    speed = np.maximum(np.hypot(du1, dv1), 1e-12)
    return Frame(u, v, np.arctan2(dv1, du1), (du1 * dv2 - dv1 * du2) / speed**3)
