"""What was answered, what networks told us about it, and which models answer beside the active one."""

from serving.models.answers import AnswerTally
from serving.models.feedback import Feedback, FeedbackTally
from serving.models.trials import Trial

__all__ = ["AnswerTally", "Feedback", "FeedbackTally", "Trial"]
