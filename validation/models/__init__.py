"""New photos, what models predict on them, what people are asked, and what they say."""

from validation.models.campaigns import (
    Campaign,
    GoldAnswer,
    Prediction,
    PredictionQuerySet,
    Question,
    QuestionLease,
)
from validation.models.photos import AuthorHashtag, Intake, IntakeFile, Photo
from validation.models.votes import (
    Correction,
    Guest,
    Participation,
    Standing,
    TakenBack,
    Vote,
    VoteQuerySet,
)

__all__ = [
    "AuthorHashtag",
    "Campaign",
    "Correction",
    "GoldAnswer",
    "Guest",
    "Intake",
    "IntakeFile",
    "Participation",
    "Photo",
    "Prediction",
    "PredictionQuerySet",
    "Question",
    "QuestionLease",
    "Standing",
    "TakenBack",
    "Vote",
    "VoteQuerySet",
]
