"""Policies and feature extractors for SB3, by world."""
