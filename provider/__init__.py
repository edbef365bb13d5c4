"""Provider IDs, read and written."""
