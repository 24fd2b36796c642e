"""The manual, for people and for agents."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from navi.hub import manual
from navi.hub.doors import public
from navi.hub.manual import Page


@public(GET="public")
def start(request: HttpRequest) -> HttpResponse:
    """The first page, or what a search found."""
    words = request.GET.get("q", "").strip()[:200]
    if not words:
        return redirect("/help/quickstart")
    results = manual.search(words)
    context = {"searched": True, "results": results, "q": words, "page_title": "Help"}
    return render(request, "hub/help.html", {**around(""), **context})


@public(GET="public")
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page of the manual."""
    found = page_or_404(slug)
    content, headings = manual.rendered(found)
    previous, following = manual.neighbours(found.slug)
    context = {
        "page_title": found.title, "content": content, "toc": headings, "previous": previous, "next": following,
        "markdown_url": f"{found.url}.md", "q": "",
    }  # fmt: skip
    return render(request, "hub/help.html", {**around(found.slug), **context})


@public(GET="public")
def markdown(request: HttpRequest, slug: str) -> HttpResponse:
    """The same page as Markdown."""
    return HttpResponse(page_or_404(slug).markdown, content_type="text/markdown; charset=utf-8")


@public(GET="public")
def llms(request: HttpRequest) -> HttpResponse:
    """What agents read first: https://llmstxt.org."""
    lines = [
        "# Navi",
        "",
        "> A self-hosted hub: people connect services once, agents use them safely by token.",
        "",
    ]
    lines += ["Every call needs `Authorization: Bearer navi_at_…`. Errors always name the next step.", ""]
    lines += [f"- [OpenAPI]({settings.BASE_URL}/api/schema): the whole API", ""]
    for section in manual.contents(""):
        lines += [f"## {section['title']}", ""]
        lines += [f"- [{link['title']}]({settings.BASE_URL}{link['url']}.md)" for link in section["pages"]]
        lines.append("")
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


def page_or_404(slug: str) -> Page:
    try:
        return manual.pages()[slug]
    except KeyError:
        raise Http404("The manual has no such page.") from None


def around(slug: str) -> dict[str, object]:
    return {"help_sections": manual.contents(slug), "help_search_url": "/help/"}
