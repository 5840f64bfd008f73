"""Teaches the project's small models on drawn clips, and measures them."""
