"""What designs that train a model share: stored episodes, inputs, networks."""
