"""The table of speed: offkey, its peers and the floor on the same work, interleaved in one run."""
