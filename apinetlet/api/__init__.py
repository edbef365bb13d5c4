"""The kinds of both generations."""
