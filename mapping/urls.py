from django.urls import path

from mapping.views import (
    assistants,
    bulk,
    compare,
    entries,
    groups,
    hashtags,
    opinions,
    queue,
    releases,
    settle,
)

app_name = "mapping"
urlpatterns = [
    path("", entries.entries, name="entries"),
    path("<int:pk>/", entries.entry, name="entry"),
    path("unpublished/", entries.unpublished, name="unpublished"),
    path("decide/", bulk.decide, name="bulk"),
    path("undo/", bulk.undo, name="bulk_undo"),
    path("groups/", groups.groups, name="groups"),
    path("queue/", queue.show, name="queue"),
    path("queue/<int:pk>/decide/", queue.decide, name="decide"),
    path("queue/undo/", queue.undo, name="undo"),
    path("queue/hashtags/", queue.hashtags, name="queue_hashtags"),
    path("queue/path/", queue.path, name="queue_path"),
    path("assistants/", assistants.index, name="assistants"),
    path("hashtags/", hashtags.hashtags, name="hashtags"),
    path("opinions/", opinions.opinions, name="opinions"),
    path("opinions/start/", opinions.start, name="start_opinion"),
    path("opinions/<int:pk>/", opinions.opinion, name="opinion"),
    path("opinions/<int:pk>/fill/", opinions.fill, name="fill_opinion"),
    path("opinions/<int:pk>/delete/", opinions.delete, name="delete_opinion"),
    path("settle/", settle.show, name="settle"),
    path("settle/<int:pk>/", settle.decide, name="settle_one"),
    path("settle/agreed/", settle.take, name="take_over"),
    path("releases/", releases.releases, name="releases"),
    path("releases/compare/", compare.compare, name="compare"),
    path("releases/publish/", releases.publish, name="publish"),
    path("releases/<int:number>/", releases.release, name="release"),
]
