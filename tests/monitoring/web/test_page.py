"""The page is valid HTML for every document, runs no script, and escapes all texts."""

import re
from html.parser import HTMLParser

import pytest

from monitoring.web import page
from monitoring.web.page import render
from tests.monitoring.web import documents

VOID = {"meta", "link", "br", "img", "input", "hr"}
DOCUMENTS = [documents.empty, documents.well, documents.in_trouble, documents.hostile, documents.huge]


class ParsedPage(HTMLParser):
    """Elements with their attributes, texts, and what does not close."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.open, self.wrong = [], [], [], []
        self.feed(html)
        self.close()
        self.wrong += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def shown(document, **options):
    return ParsedPage(render(document, documents.history(document, every=600.0), **options))


@pytest.mark.parametrize("make", DOCUMENTS)
def test_every_document_gives_a_whole_page_with_an_outline(make):
    found = shown(make())
    assert found.wrong == []
    assert [len(found.of(tag)) for tag in ("html", "h1", "main", "title")] >= [1, 1, 1, 1]
    assert len(found.of("h1")) == 1
    assert found.of("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))
    labelled = [attributes["aria-labelledby"] for _, attributes in found.elements if "aria-labelledby" in attributes]
    assert set(labelled) <= set(ids)


@pytest.mark.parametrize("make", DOCUMENTS)
def test_tables_have_captions_and_headings_and_pictures_have_words(make):
    found = shown(make())
    tables = found.of("table")
    assert len(found.of("caption")) == len(tables) == len(found.of("thead"))
    assert all(each.get("scope") for each in found.of("th"))
    assert all(each.get("aria-label") or each.get("aria-hidden") for each in found.of("svg"))


@pytest.mark.parametrize("make", DOCUMENTS)
def test_no_state_is_shown_only_by_its_colour(make):
    """Beside every sign of a state stand words, and each state's sign has a shape of its own."""
    html = render(make(), {})
    signs = re.findall(r'<svg class="icon \w+"[^>]*>.*?</svg>(.{0,40})', html, re.DOTALL)
    assert all(re.search(r"[A-Za-z]{2}", re.sub(r"<[^>]*>", "", after)) for after in signs)
    shapes = dict(re.findall(r'<symbol id="(icon-\w+)"[^>]*>(.*?)</symbol>', html))
    assert len(set(shapes.values())) == len(shapes) == 4


ALLOWED = (
    "html head meta title style body svg symbol pattern circle path rect g use a header p span time main section "
    "h1 h2 h3 ul li div strong code article small figure figcaption dl dt dd details summary table caption thead "
    "tbody tr th td footer"
)


def markup(html):
    """What a hostile text made of itself: elements, attributes, styles, template results."""
    found = ParsedPage(html)
    wrong = [f"an element {tag}" for tag, _ in found.elements if tag not in ALLOWED.split()]
    wrong += [f"an attribute {name}" for _, given in found.elements for name in given if name.startswith("on")]
    wrong += ["a template was computed"] if "&49" in "".join(found.texts) else []
    return wrong + [f"a link to {each['href']}" for each in found.of("a") if not re.match(r"[/#]", each["href"])]


def test_control_every_text_of_the_document_is_escaped(control, monkeypatch):
    document = documents.hostile()
    # A table's name is a text of whoever writes a source; history has it, too.
    history = documents.history(document, every=600.0)
    control.holds(markup, render(document, history))
    monkeypatch.setattr(page, "_template", page._template.__wrapped__)
    environment = page.Environment
    monkeypatch.setattr(page, "Environment", lambda **options: environment(**options | {"autoescape": False}))
    control.objects(markup, render(document, history), damage=("an element script", "an attribute onerror"))


def test_hostile_texts_are_shown_as_they_are():
    assert documents.HOSTILE in "".join(shown(documents.hostile()).texts)


def test_the_page_has_no_script_and_makes_no_request():
    found = shown(documents.in_trouble())
    assert [found.of(tag) for tag in ("script", "link", "img", "iframe", "form")] == [[]] * 5
    assert all(each["href"].startswith("#") for each in found.of("use"))
    style = (page._HERE / "page.css").read_text()
    assert re.findall(r"url\((?!#)|@import|@font-face", style) == []


def test_the_page_renews_itself_and_can_be_held_still():
    """A reload closes what a reader has opened, so one may do without it."""
    renewing, still = shown(documents.well()), shown(documents.well(), renews=False)
    assert [each["content"] for each in renewing.of("meta") if each.get("http-equiv") == "refresh"] == ["60"]
    assert "/still" in {each["href"] for each in renewing.of("a")}
    assert [each for each in still.of("meta") if "http-equiv" in each] == []
    assert "/" in {each["href"] for each in still.of("a")}


def test_the_page_says_what_its_document_says():
    found = " ".join(" ".join(shown(documents.in_trouble()).texts).split())
    for words in (
        "Not everything is fresh.", "5 things need a look", "Stopped silver.inmet_hourly",
        "correnteza checkpoint adopt silver.inmet_hourly", "No answer from the schema registry",
        "up to date but for 40 s", "1 of 13 tables is stopped", "left alone after failures",
        "28 November 2026, 17:05:40 UTC",
    ):  # fmt: skip
        assert words in found


def test_sixty_tables_a_layer_stay_a_page():
    """Collapsed, and small enough to be sent each minute."""
    document = documents.huge()
    found = shown(document)
    assert [each for each in found.of("details") if "open" in each] == []
    assert len(found.of("li")) < 100
    assert len(render(document, documents.history(document, every=600.0))) < 1_500_000


def test_without_a_history_the_plots_say_so():
    found = ParsedPage(render(documents.well(), {}))
    assert "not measured" in " ".join(found.texts)
