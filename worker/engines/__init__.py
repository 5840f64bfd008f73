"""What draws the pictures between two keys: one engine holds one loaded model."""
