"""Names of the files of a saved cascade; imported without PyTorch."""

SMALL, ENLARGER, HISTORY = "small.safetensors", "enlarger.safetensors", "history.json"
