"""Where a SOP instance goes, and the record of what went there."""
