from django.urls import path

from people.views import history, own, people, teams, tokens

app_name = "people"
urlpatterns = [
    path("", people.people, name="people"),
    path("invite/", people.invite, name="invite"),
    path("invitations/<int:pk>/withdraw/", people.withdraw, name="withdraw"),
    path("<int:pk>/", people.person, name="person"),
    path("<int:pk>/deactivate/", people.set_active, {"is_active": False}, name="deactivate"),
    path("<int:pk>/activate/", people.set_active, {"is_active": True}, name="activate"),
    path("<int:pk>/reset/", people.reset, name="make_reset"),
    path("<int:pk>/address/", people.set_address, name="set_address"),
    path("<int:pk>/second-factor/", people.take_away_factor, name="take_away_factor"),
    path("teams/", teams.teams, name="teams"),
    path("teams/new/", teams.new, name="new_team"),
    path("teams/<int:pk>/", teams.team, name="team"),
    path("teams/<int:pk>/people/", teams.put_in, name="put_in_team"),
    path("teams/<int:pk>/people/<int:person_pk>/take-out/", teams.take_out, name="take_out_of_team"),
    path("teams/<int:pk>/delete/", teams.delete, name="delete_team"),
    path("join/<str:token>/", own.join, name="join"),
    path("reset/<str:uidb64>/<str:token>/", own.NewPassword.as_view(), name="reset"),
    path("me/", own.me, name="me"),
    path("me/password/", own.password, name="password"),
    path("history/", history.history, name="history"),
    path("history.csv", history.export, name="export_history"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.new, name="new_token"),
    path("tokens/<int:pk>/", tokens.token, name="token"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="revoke_token"),
]
