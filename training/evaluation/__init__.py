"""Measures engines on clips whose middle drawings are known."""
