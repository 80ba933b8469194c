"""Associations that peers request."""
