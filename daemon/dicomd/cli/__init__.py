"""The front door: one module a verb."""
