"""The faces of the kernels: decoding, log-Mel spectrograms, statistics of clips, augmentation."""
