"""From embeddings to scores and decisions: Gaussians, standardisation, combinations, thresholds, tables."""
