from django.urls import path

from notices.views import hooks, notices

app_name = "notices"
urlpatterns = [
    path("", notices.notices, name="notices"),
    path("count/", notices.count, name="count"),
    path("read/", notices.mark_read, name="mark_read"),
    path("mail/", notices.by_mail, name="mail"),
    path("hooks/", hooks.hooks, name="hooks"),
    path("hooks/new/", hooks.new, name="new_hook"),
    path("hooks/<int:pk>/", hooks.hook, name="hook"),
    path("hooks/<int:pk>/on/", hooks.switch, {"is_enabled": True}, name="switch_on"),
    path("hooks/<int:pk>/off/", hooks.switch, {"is_enabled": False}, name="switch_off"),
    path("hooks/<int:pk>/test/", hooks.test, name="test_hook"),
    path("hooks/<int:pk>/delete/", hooks.delete, name="delete_hook"),
]
