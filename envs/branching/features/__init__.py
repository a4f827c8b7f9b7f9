"""What an agent sees of a node: features of candidates, rows and columns."""
