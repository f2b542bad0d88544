"""From embeddings to scores and decisions."""
