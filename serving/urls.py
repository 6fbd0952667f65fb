from django.urls import path

from serving.views import in_use

app_name = "serving"
urlpatterns = [
    path("", in_use.in_use, name="in_use"),
    path("acceptance.csv", in_use.acceptance_csv, name="acceptance_csv"),
]
