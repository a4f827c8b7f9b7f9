"""Learning to branch in SCIP: agents, learners, SCIP's own rules, and their evaluation."""
