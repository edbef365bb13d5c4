"""Runs everything in order, stops in reverse."""
