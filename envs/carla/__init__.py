"""CARLA route completion: maps, world, scores."""
