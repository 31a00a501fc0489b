"""What to do about a damaged file of the catalog."""

REMEDY = "Make it again with the same environment and data set: kedro run --pipeline=augment"
