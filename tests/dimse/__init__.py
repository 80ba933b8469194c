"""PS3.7 without I/O: command sets."""
