"""Prepare drawings for the model, and frames for the exporters; numpy in, numpy out."""
