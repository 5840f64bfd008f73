"""Encode a film into files, one module for each format."""
