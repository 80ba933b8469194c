"""The roof: the one parent process."""
