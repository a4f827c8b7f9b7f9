"""Rewards, endings and scores of driving, for W worlds at once.

Everything here reads a `rewardloom.envs.carla.scoring.state.WorldState` and the routes, and knows
nothing of where the state came from. `referee.Referee` puts the parts together.
"""
