"""What can be set: frozen types, shaped like dicomd.yaml."""
