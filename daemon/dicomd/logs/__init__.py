"""How a process speaks: structured events to outputs."""
