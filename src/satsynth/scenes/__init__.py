"""Data-set descriptions, the finding of scenes and the reading of raw rasters; raw ids and colours live only here."""
