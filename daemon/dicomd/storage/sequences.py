"""Which elements are sequences, for Implicit VR, where the data set does not say (PS3.6)."""

from pydicom._dicom_dict import DicomDictionary

SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
"""The standard's sequences; private ones of known length look like any other value."""
