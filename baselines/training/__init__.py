"""Training and evaluating one agent: configuration, checkpoints, callbacks."""
