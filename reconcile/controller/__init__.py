"""From changes to reconciles."""
