"""New photos, what models predict on them, what people are asked, and what they say."""

from validation.models.answers import Answer
from validation.models.campaigns import Campaign
from validation.models.people import Guest, Participation, Standing
from validation.models.photos import AuthorHashtag, Correction, Intake, IntakeFile, Photo
from validation.models.posted import PostedHashtag, PostedHashtagQuerySet
from validation.models.predictions import Prediction, PredictionQuerySet
from validation.models.questions import GoldAnswer, Question, QuestionLease, QuestionQuerySet
from validation.models.uploads import Upload, UploadQuerySet
from validation.models.votes import TakenBack, Vote, VoteQuerySet

__all__ = [
    "Answer",
    "AuthorHashtag",
    "Campaign",
    "Correction",
    "GoldAnswer",
    "Guest",
    "Intake",
    "IntakeFile",
    "Participation",
    "Photo",
    "PostedHashtag",
    "PostedHashtagQuerySet",
    "Prediction",
    "PredictionQuerySet",
    "Question",
    "QuestionLease",
    "QuestionQuerySet",
    "Standing",
    "TakenBack",
    "Upload",
    "UploadQuerySet",
    "Vote",
    "VoteQuerySet",
]
