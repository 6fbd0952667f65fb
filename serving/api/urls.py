from django.urls import path

from serving.api.feedback import FeedbackView
from serving.api.suggest import SuggestView

urlpatterns = [
    path("suggest", SuggestView.as_view(), name="api_suggest"),
    path("feedback", FeedbackView.as_view(), name="api_feedback"),
]
