"""What an agent sees of a node: features of candidates, rows and columns.

- `Extractor`: reads them from SCIP inside a branching callback.
- `CANDIDATE_FEATURES`, `KHALIL_FEATURES`, `COLUMN_FEATURES`, `ROW_FEATURES`: their names.
- `strong_branching_scores`: what branching on each candidate is worth, for imitation.
"""

from rewardloom.envs.branching.features.candidates import CANDIDATE_FEATURES
from rewardloom.envs.branching.features.columns import COLUMN_FEATURES
from rewardloom.envs.branching.features.extractor import Extractor
from rewardloom.envs.branching.features.khalil import KHALIL_FEATURES
from rewardloom.envs.branching.features.rows import ROW_FEATURES
from rewardloom.envs.branching.features.strong import strong_branching_scores

__all__ = [
    "CANDIDATE_FEATURES",
    "COLUMN_FEATURES",
    "KHALIL_FEATURES",
    "ROW_FEATURES",
    "Extractor",
    "strong_branching_scores",
]
