from django.urls import path

from validation import views

app_name = "validation"
urlpatterns = [
    path("campaigns/", views.campaigns, name="campaigns"),
    path("campaigns/new/", views.new_campaign, name="new_campaign"),
    path("campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("campaigns/<int:pk>/open/", views.set_open, {"is_open": True}, name="open"),
    path("campaigns/<int:pk>/close/", views.set_open, {"is_open": False}, name="close"),
    path("campaigns/<int:pk>/photos/<int:photo_pk>/withdraw/", views.withdraw, name="withdraw"),
    path("vote/", views.vote_index, name="vote_index"),
    path("vote/<int:pk>/", views.vote, name="vote"),
    path("vote/<int:pk>/undo/", views.undo, name="undo"),
    path("agreement/", views.agreement, name="agreement"),
    path("agreement/photos/", views.votes, name="votes"),
    path("photos/<int:pk>.jpg", views.photo, name="photo"),
]
