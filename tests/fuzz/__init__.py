"""Seeded mutational fuzzers, one target a parser; ``python -m tests.fuzz`` runs them."""
