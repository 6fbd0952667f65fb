"""Photo sets in: from a folder or a tar, by class."""
