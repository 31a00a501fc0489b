"""A GAN of images and masks: the rival of the paper's Table 1."""
