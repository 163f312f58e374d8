"""The page in a real browser: narrow and wide, in light and dark colours."""

import hashlib

import pytest

from monitoring.web.page import render
from tests.chromium import chromium
from tests.monitoring.web import documents

WIDTHS = (360, 1440)

OVERFLOW = """(() => {
  const wide = innerWidth, found = [];
  const page = document.documentElement.scrollWidth;
  if (page > wide) found.push(`the page is ${page} px wide`);
  for (const each of document.querySelectorAll('body *')) {
    if (each.closest('svg') && each.tagName !== 'svg' || each.closest('.skip, .symbols, thead')) continue;
    const box = each.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1))
      found.push(`${each.tagName} ${each.className} reaches ${box.right}`);
  }
  return found;
})()"""
"""What goes beyond the window, on either side. The head of a table is for those who hear it on a narrow page."""

CONTRAST = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const over = (below, colour) => { canvas.globalCompositeOperation = 'source-over';
    canvas.fillStyle = `rgb(${below})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const ground = (each) => { const layers = [];
    for (let up = each; up; up = up.parentElement) layers.unshift(getComputedStyle(up).backgroundColor);
    return layers.reduce(over, [255, 255, 255]); };
  const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = (colour) => { const [r, g, b] = colour.map(c => linear(c / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + .05) / (y + .05); };
  const worst = new Map(), note = (what, value, least) => {
    if (value < least && !(worst.get(what) < value)) worst.set(what, value); };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let text = words.nextNode(); text; text = words.nextNode()) {
    const each = text.parentElement, style = getComputedStyle(each);
    if (!text.data.trim() || each.closest('svg, .skip') || !each.getClientRects().length) continue;
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    const below = ground(each);
    note(`text ${each.tagName} ${each.className}`, ratio(over(below, style.color), below), isLarge ? 3 : 4.5);
    seen += 1;
  }
  for (const each of document.querySelectorAll('main .icon, main .line, main g.poll, main .full')) {
    const style = getComputedStyle(each), below = ground(each.closest('td, p, li, h1, figure, div'));
    const colour = each.matches('.line') ? style.stroke : each.matches('.full') ? style.fill : style.color;
    note(`sign ${each.getAttribute('class')}`, ratio(over(below, colour), below), 3);
    seen += 1;
  }
  if (!seen) return ['nothing is seen'];
  return [...worst].map(([what, value]) => `${what} has a contrast of ${value.toFixed(2)}`);
})()"""
"""Texts below 4.5:1, large ones and signs below 3:1 (WCAG 2.2 AA), against what really lies beneath them."""

OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def page_of(document):
    return render(document, documents.history(document, every=300.0))


@pytest.mark.parametrize(
    "make", [documents.empty, documents.well, documents.in_trouble, documents.huge, documents.hostile]
)
def test_nothing_goes_beyond_the_window(browser, make):
    html = page_of(make())
    for width in WIDTHS:
        browser.show(html, width=width)
        assert browser.run(OVERFLOW) == []
        browser.run(OPEN)
        assert browser.run(OVERFLOW) == []


def test_control_something_that_goes_beyond_the_window_is_seen(browser, control):
    def beyond(html):
        browser.show(html, width=360)
        return browser.run(OVERFLOW)

    html = page_of(documents.well())
    control.holds(beyond, html)
    # The page as it would be if rows did not become blocks.
    control.objects(beyond, html.replace("max-width: 56rem", "max-width: 1rem"), damage=("the page is", " reaches "))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_and_sign_has_enough_contrast(browser, dark):
    for width in WIDTHS:
        browser.show(page_of(documents.in_trouble()), width=width, dark=dark)
        browser.run(OPEN)
        assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_control_a_pale_text_is_seen(browser, control, dark):
    def pale(html):
        browser.show(html, width=1440, dark=dark)
        return browser.run(CONTRAST)

    html = page_of(documents.in_trouble())
    control.holds(pale, html)
    faded = html.replace("</style>", ":root { --soft: #8a8f8c; --late: #7a7f7c66 }</style>")
    control.objects(pale, faded, damage=(" has a contrast of ", "sign icon late"))


def test_with_a_dark_colour_scheme_the_page_is_dark(browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    html = page_of(documents.well())
    found = {}
    for dark in (False, True):
        browser.show(html, width=1440, dark=dark)
        found[dark] = sum(map(int, browser.run(ground)[4:-1].split(",")))
    assert found[True] < 120
    assert found[False] > 600


def test_a_picture_of_the_page_has_more_than_a_blank_one(browser):
    html = page_of(documents.in_trouble())
    pictures = set()
    for width in WIDTHS:
        for dark in (False, True):
            browser.show(html, width=width, dark=dark)
            pictures.add(hashlib.sha256(found := browser.picture()).hexdigest())
            browser.show("<p>", width=width, dark=dark)
            assert len(found) > 2 * len(browser.picture())
    assert len(pictures) == 4


def test_hostile_texts_stay_texts_in_a_browser(browser):
    browser.show(page_of(documents.hostile()), width=360)
    assert browser.run("document.querySelectorAll('script, img, [onerror]').length") == 0
    assert documents.HOSTILE in browser.run("document.body.textContent")
