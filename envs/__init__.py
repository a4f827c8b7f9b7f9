"""Worlds: one folder each; each imports its heavy dependency only when it is made."""
