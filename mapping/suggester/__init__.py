"""What the machine proposes for a class, and why; it learns from confirmed rows only."""
