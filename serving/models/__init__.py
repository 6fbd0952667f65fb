"""What was answered, what networks told us, checked posts, and models that answer beside the active one."""

from serving.models.answers import AnswerTally
from serving.models.feedback import Feedback, FeedbackTally
from serving.models.posts import CheckedHashtag, CheckedPost
from serving.models.trials import Trial

__all__ = ["AnswerTally", "CheckedHashtag", "CheckedPost", "Feedback", "FeedbackTally", "Trial"]
