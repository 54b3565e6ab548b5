"""Damaged and malicious files against everything that reads files: python -m tests.fuzz (see run.py)."""
