"""A local copy that is always some true past."""
