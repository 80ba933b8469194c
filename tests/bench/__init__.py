"""Receivers side by side: ``python -m tests.bench``."""
