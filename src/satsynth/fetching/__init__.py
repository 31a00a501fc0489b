"""Fetching raw data: transfers that go on where they broke off, and archives that are unpacked with care."""
