"""SB3 plugs for reward designs: VecEnv wrapper, relabelling buffers, VectorEnv bridge."""
