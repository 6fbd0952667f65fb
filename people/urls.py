from django.urls import path

from people.views import tokens

app_name = "people"
urlpatterns = [
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.new, name="new_token"),
    path("tokens/<int:pk>/", tokens.token, name="token"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="revoke_token"),
]
