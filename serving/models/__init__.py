"""What networks told us about our answers, and counts by day."""

from serving.models.feedback import Feedback, FeedbackTally

__all__ = ["Feedback", "FeedbackTally"]
