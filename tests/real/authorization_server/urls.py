"""What the authorization server answers to: the toolkit's own pages, a sign-in, and who the token is for."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.decorators import protected_resource  # type: ignore[import-untyped]


@protected_resource(scopes=["profile"], advertise_metadata=True)
def me(request: HttpRequest) -> JsonResponse:
    person = request.resource_owner  # type: ignore[attr-defined]
    return JsonResponse({"sub": person.username, "name": person.first_name})


@csrf_exempt
def moved_token(request: HttpRequest, status: int) -> HttpResponse:
    """The token endpoint's old address."""
    return HttpResponse(status=status, headers={"Location": "/o/token/"})


urlpatterns = [
    path("o/", include("oauth2_provider.urls")),
    path("sign-in/", LoginView.as_view()),
    path("me", me),
    path("moved/<int:status>/token/", moved_token),
]
