"""Files of rasters and polygons: pictures, TIFFs and vector files, read by window, and their georeferences."""
