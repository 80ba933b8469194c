"""Files on disk to settings."""
