"""Formats: reading, checking and writing documents, without knowing what they mean."""
