"""`read_json`: a JSON file of the user's, or an error that says which one is at fault."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rewardloom.errors import ConfigError

__all__ = ["read_json"]


def read_json(path: str | os.PathLike[str], where: str) -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        where: What to call it in an error, for example "goal file 'mine.json'".

    Raises:
        ConfigError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {where}: {error.strerror or error}.") from None
    except ValueError as error:
        raise ConfigError(f"The {where} is not JSON: {error}.") from None
