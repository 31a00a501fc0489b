"""Kedro pipelines: thin nodes over the numerical packages."""
