from django.urls import path

from mapping.views import assistants, entries, hashtags, releases

app_name = "mapping"
urlpatterns = [
    path("", entries.entries, name="entries"),
    path("<int:pk>/", entries.entry, name="entry"),
    path("assistants/", assistants.index, name="assistants"),
    path("hashtags/", hashtags.hashtags, name="hashtags"),
    path("releases/", releases.releases, name="releases"),
    path("releases/publish/", releases.publish, name="publish"),
    path("releases/<int:number>/", releases.release, name="release"),
]
