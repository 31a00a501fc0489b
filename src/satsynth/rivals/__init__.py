"""Families of generators that joint diffusion is compared with."""
