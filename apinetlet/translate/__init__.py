"""Source and what is known, to desired target and status."""
