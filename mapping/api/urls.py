from django.urls import path

from mapping.api import entries, exchange, releases

urlpatterns = [
    path("entries", entries.EntriesView.as_view(), name="api_entries"),
    path("entries/<int:pk>", entries.EntryView.as_view(), name="api_entry"),
    path("entries/<int:pk>/suggestions", entries.SuggestionsView.as_view(), name="api_suggestions"),
    path("decisions", entries.DecisionsView.as_view(), name="api_decisions"),
    path("undo", entries.UndoView.as_view(), name="api_undo"),
    path("hashtags", entries.HashtagsView.as_view(), name="api_hashtags"),
    path("releases", releases.ReleasesView.as_view(), name="api_releases"),
    path("releases/<int:number>/labels", releases.LabelsView.as_view(), name="api_labels"),
    path("compare", releases.CompareView.as_view(), name="api_compare"),
    path("unpublished", releases.UnpublishedView.as_view(), name="api_unpublished"),
    path("export", exchange.ExportView.as_view(), name="api_export"),
    path("import", exchange.ImportView.as_view(), name="api_import"),
]
