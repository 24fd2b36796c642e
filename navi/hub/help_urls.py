from django.urls import path

from navi.hub.views import help as views

urlpatterns = [
    path("help/", views.start, name="help"),
    path("help/<path:slug>.md", views.markdown, name="help-markdown"),
    path("help/<path:slug>", views.page, name="help-page"),
    path("llms.txt", views.llms, name="llms"),
]
