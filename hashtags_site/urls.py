from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.urls import include, path
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from hashtags_site import views
from hashtags_site.metrics.page import metrics

# Without OPTIONS: REST framework's answer to it is data, for which the page has no template.
OPEN = {"permission_classes": [], "http_method_names": ["get", "head"]}

reference = SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_reference.html", **OPEN)


@login_not_required
@require_safe
@cache_control(max_age=86400, public=True)
def favicon(request: HttpRequest) -> HttpResponseBase:
    icon = settings.BASE_DIR / "hashtags_site/static/icon.svg"
    return FileResponse(icon.open("rb"), content_type="image/svg+xml")


urlpatterns = [
    path("", views.home, name="home"),
    path("setup/", views.setup_site, name="setup"),
    path("search/", views.search_page, name="search"),
    path("", include("people.signin.urls")),
    path("health/", views.health, name="health"),
    # Without a slash at the end: a probe would take a redirect for a yes.
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
    path("health/doctor/", views.doctor, name="doctor"),
    path("metrics", metrics, name="metrics"),
    path("favicon.ico", favicon),
    path("mapping/", include("mapping.urls")),
    path("trainer/", include("trainer.urls")),
    path("validation/", include("validation.urls")),
    path("jobs/", include("jobs.urls")),
    path("people/", include("people.urls")),
    path("notices/", include("notices.urls")),
    path("", include("serving.urls")),
    path("api/v1/", include("serving.api.urls")),
    path("api/v1/mapping/", include("mapping.api.urls")),
    path("api/schema/", login_not_required(SpectacularAPIView.as_view(**OPEN)), name="schema"),
    path("api/", views.api, name="api"),
    path("api/reference/", login_not_required(reference), name="api_reference"),
]

handler400 = "hashtags_site.refusals.bad_request"
handler403 = "hashtags_site.refusals.permission_denied"
handler404 = "hashtags_site.refusals.not_found"
handler500 = "hashtags_site.outages.server_error"
