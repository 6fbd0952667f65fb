from django.urls import path

from serving.api.suggest import SuggestView

urlpatterns = [path("suggest", SuggestView.as_view(), name="api_suggest")]
