"""Descriptions of data sets, and the conversion between raw labels and class indices."""
