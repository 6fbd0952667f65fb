from django.urls import path

from mapping.views import assistants, bulk, compare, entries, hashtags, queue, releases

app_name = "mapping"
urlpatterns = [
    path("", entries.entries, name="entries"),
    path("<int:pk>/", entries.entry, name="entry"),
    path("unpublished/", entries.unpublished, name="unpublished"),
    path("decide/", bulk.decide, name="bulk"),
    path("undo/", bulk.undo, name="bulk_undo"),
    path("queue/", queue.show, name="queue"),
    path("queue/<int:pk>/decide/", queue.decide, name="decide"),
    path("queue/undo/", queue.undo, name="undo"),
    path("queue/hashtags/", queue.hashtags, name="queue_hashtags"),
    path("queue/path/", queue.path, name="queue_path"),
    path("assistants/", assistants.index, name="assistants"),
    path("hashtags/", hashtags.hashtags, name="hashtags"),
    path("releases/", releases.releases, name="releases"),
    path("releases/compare/", compare.compare, name="compare"),
    path("releases/publish/", releases.publish, name="publish"),
    path("releases/<int:number>/", releases.release, name="release"),
]
