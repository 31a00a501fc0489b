"""Names of the files of a saved denoiser; imported without PyTorch."""

WEIGHTS, AVERAGED, HISTORY = "model.safetensors", "ema.safetensors", "history.json"
