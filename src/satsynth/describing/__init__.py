"""Propose a description for a folder of images and masks: how they match, their classes and their splits."""
