"""The suggester: proposes hashtags for a class, with reasons. It learns from confirmed rows only."""
