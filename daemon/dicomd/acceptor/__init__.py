"""The left wing: associations that peers request."""
