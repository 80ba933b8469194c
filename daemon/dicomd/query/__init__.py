"""What a query or a retrieval asks for: keys, query files, dates, dictionaries, as values."""
