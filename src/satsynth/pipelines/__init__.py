"""Kedro pipelines: thin nodes over the numerical rooms."""
