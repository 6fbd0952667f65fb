from django.urls import path

from serving.api.check import CheckView
from serving.api.suggest import SuggestView

urlpatterns = [
    path("suggest", SuggestView.as_view(), name="api_suggest"),
    path("check", CheckView.as_view(), name="api_check"),
]
