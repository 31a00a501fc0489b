"""Scenes of a data set: finding and checking them, their splits, and reading them as class indices."""
