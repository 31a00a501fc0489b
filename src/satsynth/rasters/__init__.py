"""Rasters and polygons as files: pictures, TIFFs, where they lie on Earth, read by windows."""
