from django.urls import path

from mapping import views

app_name = "mapping"
urlpatterns = [
    path("", views.entries, name="entries"),
    path("<int:pk>/", views.entry, name="entry"),
    path("hashtags/", views.hashtags, name="hashtags"),
    path("releases/", views.releases, name="releases"),
    path("releases/publish/", views.publish, name="publish"),
    path("releases/<int:number>/", views.release, name="release"),
]
