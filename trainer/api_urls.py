from django.urls import path

from trainer.api import SuggestView

urlpatterns = [path("suggest", SuggestView.as_view(), name="api_suggest")]
