"""The daemon on two embedded API servers."""
