"""Segmentation networks, their training on real and synthetic pairs, and their metrics."""
