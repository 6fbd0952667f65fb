from django.urls import path

from serving.views import check, in_use, posts, trials

app_name = "serving"
urlpatterns = [
    path("check/", check.check, name="check"),
    path("in-use/", in_use.in_use, name="in_use"),
    path("in-use/acceptance.csv", in_use.acceptance_csv, name="acceptance_csv"),
    path("in-use/figures/<slug:name>.<slug:kind>", in_use.figure, name="in_use_figure"),
    path("in-use/trials/", trials.trials, name="trials"),
    path("in-use/trials/start/", trials.start_trial, name="start_trial"),
    path("in-use/trials/<int:pk>/stop/", trials.stop_trial, name="stop_trial"),
    path("in-use/posts/", posts.posts, name="posts"),
    path("in-use/posts/ask/", posts.ask, name="ask_about_posts"),
    path("in-use/posts/export.csv", posts.export, name="export_posts"),
    path("in-use/posts/<int:pk>/looked-at/", posts.look_at, name="look_at_post"),
    path("in-use/posts/delete/", posts.delete_author, name="delete_author"),
]
