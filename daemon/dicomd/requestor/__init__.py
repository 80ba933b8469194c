"""The right wing: associations that we request."""
