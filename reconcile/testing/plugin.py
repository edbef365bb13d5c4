"""Pytest fixtures of the testing kit."""
