"""Makes `layouts` importable."""
