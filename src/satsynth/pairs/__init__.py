"""Image-mask pairs: the contract, the Parquet store, tiling, and streams of augmented training pairs."""
