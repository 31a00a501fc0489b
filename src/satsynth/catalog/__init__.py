"""Kedro datasets of our own: versioned finished folders and pictures, with previews for Kedro-Viz."""
