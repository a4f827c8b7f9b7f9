"""Tasks on which reward designs are judged: a chain of tools, and components for known worlds.

- `rewardloom.baselines.tasks.chain`: a world where paying for good steps is hacked.
- `.pendulum`, `.mountain_car`, `.minigrid`, `.spread`: functions for `RewardComponents`, by import
  path.
"""
