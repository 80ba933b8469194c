"""The clerk: moves receipts to the index of what was received."""
