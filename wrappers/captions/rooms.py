"""`rooms`: the parts of a MiniGrid grid that walls and doors enclose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrid.core.grid import Grid

__all__ = ["rooms"]


def rooms(grid: Grid) -> dict[tuple[int, int], int]:
    """Return place -> number of its room; walls and doorways are in none.

    Two places are in one room if a way leads from one to the other, by steps along the axes,
    past neither wall nor door. A gap in a wall without a door joins what it lies between.
    """
    free = {
        (index % grid.width, index // grid.width)
        for index, cell in enumerate(grid.grid)
        if cell is None or cell.type not in ("wall", "door")
    }
    found: dict[tuple[int, int], int] = {}
    number = 0
    while free:
        border = [free.pop()]
        while border:
            x, y = place = border.pop()
            found[place] = number
            near = free & {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)}
            free -= near
            border += near
        number += 1
    return found
