"""Bonuses for what is new to a network: RND, ICM, NGU and E3B."""
