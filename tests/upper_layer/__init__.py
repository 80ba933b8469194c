"""PS3.8 without I/O: bytes in, events out."""
