"""Names of the files of a saved denoiser; imported without PyTorch."""

WEIGHTS, AVERAGED = "model.safetensors", "ema.safetensors"
