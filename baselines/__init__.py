"""Training with Stable-Baselines3: plugs, policies, train, evaluate, compare, report."""
