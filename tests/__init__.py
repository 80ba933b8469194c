"""The tests: a mirror of the package; journeys with real processes beside it."""
