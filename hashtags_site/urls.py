from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.urls import include, path
from django.views.decorators.cache import cache_control
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from hashtags_site import views


@login_not_required
@cache_control(max_age=86400, public=True)
def favicon(request: HttpRequest) -> HttpResponseBase:
    icon = settings.BASE_DIR / "hashtags_site/static/icon.svg"
    return FileResponse(icon.open("rb"), content_type="image/svg+xml")


urlpatterns = [
    path("", views.home, name="home"),
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("health/", views.health, name="health"),
    path("favicon.ico", favicon),
    path("mapping/", include("mapping.urls")),
    path("trainer/", include("trainer.urls")),
    path("validation/", include("validation.urls")),
    path("jobs/", include("jobs.urls")),
    path("api/v1/", include("trainer.api_urls")),
    path("api/v1/mapping/", include("mapping.api.urls")),
    path("api/schema/", login_not_required(SpectacularAPIView.as_view(permission_classes=[])), name="schema"),
    path(
        "api/",
        login_not_required(SpectacularSwaggerSplitView.as_view(url_name="schema", permission_classes=[])),
        name="api",
    ),
]
handler500 = "hashtags_site.outages.server_error"
