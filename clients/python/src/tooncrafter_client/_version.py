"""The version that the client tells the service."""

__version__ = "0.1.0"
