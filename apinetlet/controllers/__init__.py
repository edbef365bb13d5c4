"""Observe, translate, write."""
