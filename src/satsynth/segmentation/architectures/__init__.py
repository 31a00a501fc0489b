"""Architectures of segmentation networks. Nothing here imports PyTorch before a network is built."""
