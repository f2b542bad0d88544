"""How the network is trained: batches, stages, loop, checkpoints; and its scores."""
