"""One API server as a client sees it."""
