"""What an agent sees of a node: features of candidates, rows and columns.

- `Extractor`: reads them from SCIP inside a branching callback.
- `CANDIDATE_FEATURES`, `COLUMN_FEATURES`, `ROW_FEATURES`: their names.
"""

from rewardloom.envs.branching.features.candidates import CANDIDATE_FEATURES
from rewardloom.envs.branching.features.columns import COLUMN_FEATURES
from rewardloom.envs.branching.features.extractor import Extractor
from rewardloom.envs.branching.features.rows import ROW_FEATURES

__all__ = ["CANDIDATE_FEATURES", "COLUMN_FEATURES", "ROW_FEATURES", "Extractor"]
