"""Reward models: what a caption is worth, from what an annotator said so far."""
