from django.urls import path

from serving.views import in_use, trials

app_name = "serving"
urlpatterns = [
    path("", in_use.in_use, name="in_use"),
    path("acceptance.csv", in_use.acceptance_csv, name="acceptance_csv"),
    path("trials/", trials.trials, name="trials"),
    path("trials/start/", trials.start_trial, name="start_trial"),
    path("trials/<int:pk>/stop/", trials.stop_trial, name="stop_trial"),
]
