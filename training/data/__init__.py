"""Drawn clips with known motion, and a reader for a studio's own clips."""
