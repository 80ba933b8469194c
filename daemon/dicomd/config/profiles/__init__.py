"""Association profiles on disk to AssociationProfile: asconfig and YAML, checked and compared."""
