"""Which elements are sequences, for Implicit VR, where the data set does not say (PS3.6)."""

from dicomd.storage.data_dictionary import ENTRIES

SEQUENCE_TAGS = frozenset(tag for tag, entry in ENTRIES.items() if entry[0] == "SQ")
"""The standard's sequences; private ones of known length look like any other value."""
