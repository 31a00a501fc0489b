"""Fetch raw data: resumable downloads, and archives that are unpacked safely."""
