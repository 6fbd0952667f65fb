from django.urls import path

from trainer.views import board, compare, deleting, models, packages, photos, runs, start, sweeps

app_name = "trainer"
urlpatterns = [
    path("photo-sets/", photos.photo_sets, name="photo_sets"),
    path("photo-sets/new/", photos.new_photo_set, name="new_photo_set"),
    path("photo-sets/<int:pk>/", photos.photo_set, name="photo_set"),
    path("photos/<int:pk>/", photos.photo, name="photo"),
    path("photos/<int:pk>/small/", photos.photo, {"small": True}, name="small_photo"),
    path("runs/", runs.runs, name="runs"),
    path("runs/new/", start.new_run, name="new_run"),
    path("runs/compare/", compare.compare, name="compare"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/photos/", runs.run_photos, name="run_photos"),
    path("runs/<int:pk>/export/", runs.export, name="export"),
    path("runs/<int:pk>/delete/", deleting.delete_run, name="delete_run"),
    path("sweeps/", sweeps.sweep_list, name="sweeps"),
    path("sweeps/new/", sweeps.new_sweep, name="new_sweep"),
    path("sweeps/<int:pk>/", sweeps.sweep, name="sweep"),
    path("sweeps/<int:pk>/cancel/", sweeps.cancel, name="cancel_sweep"),
    path("sweeps/<int:pk>/retry/", sweeps.retry, name="retry_sweep"),
    path("sweeps/<int:pk>/delete/", deleting.delete_sweep, name="delete_sweep"),
    path("runs/<int:pk>/tensorboard/open/", board.open_board, name="open_board"),
    path("runs/<int:pk>/tensorboard/<path:path>", board.board, name="board"),
    path("runs/<int:pk>/tensorboard/", board.board, {"path": ""}, name="board"),
    path("models/", models.models, name="models"),
    path("models/roll-back/", models.roll_back, name="roll_back"),
    path("models/<int:pk>/", models.model, name="model"),
    path("models/<int:pk>/promote/", models.promote, name="promote"),
    path("models/import/", packages.import_model, name="import_model"),
    path("models/<int:pk>/download/", packages.download, name="download_model"),
    path("models/<int:pk>/rename/", models.rename, name="rename_model"),
    path("models/<int:pk>/delete/", deleting.delete_model, name="delete_model"),
    path("suggest/", models.suggest, name="suggest"),
]
