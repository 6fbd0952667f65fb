"""What a program sends and gets: one module per address, and the photos that requests carry."""
