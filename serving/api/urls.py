from django.urls import path

from serving.api.feedback import FeedbackView
from serving.api.model import ModelView
from serving.api.suggest import StreamView, SuggestView

urlpatterns = [
    path("suggest", SuggestView.as_view(), name="api_suggest"),
    path("suggest/stream", StreamView.as_view(), name="api_suggest_stream"),
    path("model", ModelView.as_view(), name="api_model"),
    path("feedback", FeedbackView.as_view(), name="api_feedback"),
]
