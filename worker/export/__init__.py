"""Encode a film into files.

The service calls `formats`, `mp4`, `video` and `film`; the other exporters wait for shots.
"""
