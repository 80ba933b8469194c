"""dicomd: receives and retrieves DICOM, unattended, on Linux."""

__version__ = "0.1.0"
