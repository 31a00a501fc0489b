"""Proposing the description of a folder of images and masks: what belongs together, which classes, which splits."""
