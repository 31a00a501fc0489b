"""Joint diffusion of images and masks: label codes, denoiser, samplers, training, generation."""
