"""Exposure sheets that ask for drawings: read, fill, write back."""
