"""Two diffusion models in a row: one for pairs of a fraction of the size, one that enlarges them."""
