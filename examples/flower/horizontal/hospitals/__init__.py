"""Hospitals fit one model of how often people see a doctor."""
