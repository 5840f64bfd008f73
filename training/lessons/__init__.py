"""What each lesson teaches: its network, data, loss and validation."""
