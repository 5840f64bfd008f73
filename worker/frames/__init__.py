"""Prepare drawings for the model, and frames for the exporters.

The service calls `framing`; the other modules wait for shots.
"""
