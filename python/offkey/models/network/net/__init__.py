"""The network: encoder, pooling, heads. Tensors in, tensors out."""
