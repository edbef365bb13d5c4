"""The public testing kit: virtual time, faults, an API server in the process."""
