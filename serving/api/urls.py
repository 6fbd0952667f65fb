from django.urls import path

from serving.api.check import CheckView
from serving.api.feedback import FeedbackView
from serving.api.model import ModelView
from serving.api.results.campaigns import CampaignsView, CampaignView, VotesView
from serving.api.results.models import ModelsView
from serving.api.results.posts import PostsView
from serving.api.results.runs import RunsView
from serving.api.suggest import StreamView, SuggestView

urlpatterns = [
    path("suggest", SuggestView.as_view(), name="api_suggest"),
    path("suggest/stream", StreamView.as_view(), name="api_suggest_stream"),
    path("check", CheckView.as_view(), name="api_check"),
    path("feedback", FeedbackView.as_view(), name="api_feedback"),
    path("model", ModelView.as_view(), name="api_model"),
    path("runs", RunsView.as_view(), name="api_runs"),
    path("models", ModelsView.as_view(), name="api_models"),
    path("campaigns", CampaignsView.as_view(), name="api_campaigns"),
    path("campaigns/<int:pk>", CampaignView.as_view(), name="api_campaign"),
    path("campaigns/<int:pk>/votes", VotesView.as_view(), name="api_votes"),
    path("posts", PostsView.as_view(), name="api_posts"),
]
