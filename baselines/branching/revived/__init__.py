"""Q-learning with the tree path revived from a replay memory of graphs.

Our formulation, inspired by ReviBranch (arXiv 2508.17452), whose details are not public.

- `graphs`: decisions as graphs, and batches of graphs.
- `trajectories`, `recorder`, `replay`, `batches`: what is kept of searches, and samples of it with
  the root-to-node paths.
- `network`: encoder, step builder, attention over the path, Q decoder.
- `scores`, `rewriting`: an episode's return spread over its decisions.
- `settings`, `learner`, `agent`: `RevivedConfig`, `train`, `RevivedAgent`.
"""
