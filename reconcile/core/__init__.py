"""Queues, services and time: knows no Kubernetes."""
