"""Joint diffusion of images and masks: denoiser, samplers, training, generation."""
