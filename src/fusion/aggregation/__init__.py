"""Sums over encrypted values."""
