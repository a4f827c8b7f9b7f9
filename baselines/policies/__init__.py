"""Feature extractors for SB3 policies, one module per world."""
