"""The page in a browser: Debian's Chromium, headless. `pip install -e '.[browser]'`, then `pytest -m browser`."""

import re

import pytest
from atlas_study import HOSTILE, PLACES, make_page, value_of

pytestmark = pytest.mark.browser
VIEWS = ["#/", "#/run/base/0", "#/run/base/1/head/1.0", "#/compare", "#/how", "#/how/induction/mass", "#/token/x"]
SHOWN = "<script>document.title='run'</script>"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, file):
    """Open the page at an address; at the end, see that it said nothing on the console and asked for nothing."""
    said, asked, contexts = [], [], []

    def opened(address="#/", **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{file.as_uri()}{address}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked} == {file.as_uri()}


def heading(page):
    return page.locator("h1").inner_text().strip()


def wait_for_heading(page, start):
    page.locator("h1", has_text=re.compile(f"^{re.escape(start)}")).wait_for()


@pytest.mark.parametrize("address", VIEWS)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_every_view_fits_at_any_width_in_both_themes(visit, address, width, theme):
    page = visit(address, viewport={"width": width, "height": 900}, color_scheme=theme)
    page.wait_for_timeout(100)
    assert heading(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) > 384) == (theme == "light")
    assert len(page.screenshot(full_page=True)) > 10_000


def test_the_first_view_is_there_in_two_seconds(visit):
    assert float(visit().locator("html").get_attribute("data-ready")) < 2000


def test_the_page_reads_what_the_tables_say(visit):
    page = visit()
    for place in PLACES:
        key = f"{place['experiment']}/{place['seed']}/{place['layer']}.{place['head']}"
        score = page.evaluate(f"scoreOf('induction/mass/repeated_tokens/37', '{key}')")
        value = value_of(place, ("induction", "mass", "repeated_tokens", 37))
        assert score["value"] == pytest.approx(value, rel=2**-13)
        assert (score["period"], score["null_kind"]) == (37, "step_0")


def test_a_point_tells_of_its_head_and_opens_it_and_back_comes_back(visit):
    page = visit()
    point = page.locator(".point[data-head='base/1/1.1']").bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    told = page.locator("#tooltip").inner_text()
    assert "1.1 of base, seed 1" in told
    assert "chance 0.05" in told
    page.mouse.down()
    page.mouse.up()
    wait_for_heading(page, "Head 1.1")
    assert page.url.endswith("#/run/base/1/head/1.1")
    page.go_back()
    wait_for_heading(page, "What does")


def test_what_is_chosen_is_in_the_address_and_the_address_chooses(visit):
    page = visit("#/?of=other&role=induction")
    assert page.locator("svg.clickable").first.locator(".point").count() == len(PLACES) / 2
    page.get_by_label("Up").select_option("copying/eigenvalue/weights")
    assert "y=copying%2Feigenvalue%2Fweights" in page.url
    assert "of=other" in page.url
    again = visit(page.url.partition(".html")[2])
    assert again.get_by_label("Up").input_value() == "copying/eigenvalue/weights"


def test_a_claim_leads_to_its_evidence(visit):
    page = visit("#/?claim=there_is_one")
    assert page.get_by_text("There is <i>one</i>").is_visible()
    page.locator(".piece a", has_text="1.1").click()
    wait_for_heading(page, "Head 1.1")
    assert "#/run/base/0/head/1.1" in page.url


def test_a_deep_link_shows_its_part(visit):
    page = visit("#/run/other/0/head/0.1/vocabulary", viewport={"width": 1200, "height": 700})
    page.wait_for_timeout(200)
    assert 0 <= page.locator("#vocabulary").bounding_box()["y"] < 200


def test_rows_are_sorted_and_filtered(visit):
    page = visit("#/run/base/1")
    rows = page.locator("main table").first.locator("tbody tr")
    heads = [rows.nth(at).locator("td").first.inner_text() for at in range(4)]
    assert heads == ["0.0", "0.1", "1.0", "1.1"]
    page.locator("th button").first.dblclick()
    assert rows.first.locator("td").first.inner_text() == "1.1"
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("head")
    page.get_by_label("Filter rows of Heads of the run").fill("nothing of the kind")
    assert rows.count() == 0


def test_pointing_at_a_token_says_where_it_looks(visit):
    page = visit("#/run/base/0/head/0.0")
    page.locator("[aria-label='Looks at'] .token").nth(1).hover()
    readout = page.locator(".readout").inner_text()
    assert "at 1 looks at" in readout
    assert "0.500" in readout
    page.keyboard.press("Tab")


def test_any_kept_sentence_can_be_looked_at_and_linked_to(visit):
    page = visit("#/run/base/0/head/0.0")
    page.get_by_role("combobox", name="Sentence").select_option("text/1")
    tokens = page.locator("[aria-label='Looks at'] .token")
    page.wait_for_function("location.hash.endsWith('sentence=text%2F1')")
    assert tokens.first.inner_text() == SHOWN
    tokens.nth(3).hover()
    assert page.locator(".readout").inner_text().endswith("at 0: 1")  # every query looks at the first key
    page = visit("#/run/base/0/head/0.0?sentence=text%2F0")
    page.locator("[aria-label='Looks at'] .token").nth(3).hover()
    assert page.locator(".readout").inner_text().endswith("at 3: 1")  # every query looks at itself


def test_what_changed_most_between_two_runs_has_intervals(visit):
    page = visit("#/compare?a=base/0&b=base/1")
    figure = page.locator("figure", has=page.locator("h3", has_text="What changed most: "))
    cells = figure.locator("tbody tr").first.locator("td").all_inner_texts()
    assert cells[:2] in (["0.0", "0.1"], ["1.0", "1.1"])  # 0.2 from seed to seed, 0.05 from head to head
    assert cells[3].split("[")[1] == "0.228, 0.272]"
    assert "of 16 intervals leave out 0" in figure.locator(".say").inner_text()


def test_differences_of_two_runs_are_paired_by_sentence(visit):
    page = visit("#/compare?a=base/0&b=base/1&score=induction%2Fmass%2Ftext")
    figure = page.locator("figure", has=page.locator("h3", has_text="Which head is which"))
    row = figure.locator("tbody tr", has_text="0.0").first.locator("td").all_inner_texts()
    # The second run's sentences go as the first's, twice as far: t sd(k / 20) / sqrt(20) = 2.093 * 0.0661 from 0.25.
    assert "0.250" in row[-1] or "0.25" in row[-1]
    assert "[0.112, 0.388]" in row[-1]


def test_a_map_tells_of_the_entry_under_the_pointer(visit):
    page = visit("#/run/base/0/head/0.0")
    chart = page.locator("svg[aria-label^='Scores, All of it']")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    side = box["width"] / len(HOSTILE)
    page.mouse.move(box["x"] + 2.5 * side, box["y"] + 5.5 * side)
    assert "positions 5 → 2" in page.locator("#tooltip").inner_text()
    assert "score: 1" in page.locator("#tooltip").inner_text()  # 5 - 2 * 2


def test_tokens_are_text_whatever_they_are(visit):
    page = visit("#/run/base/0/head/0.0")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.locator("img, main script, iframe").count() == 0
    assert "run" not in page.title().split()
    body = page.locator("main").inner_text()
    for text in (
        SHOWN,
        "</script><img␣src=x",
        "\\u{202e}left",
        "$\\alpha_",
        "&lt;b&gt;",
        "\\u{1b}[31m",
        "`${1}`",
        "␣dog",
    ):
        assert text in body, text
    assert "\u202e" not in body


def test_a_token_is_found_and_has_its_own_address(visit):
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("<scr")
    page.wait_for_selector("#found [role=option] .token")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 .token")
    assert SHOWN in heading(page)
    assert page.locator("tbody tr").count() == 60  # of 16 heads, 2 circuits, 2 ends, 2 sides: the first
    page.locator("tbody a").first.click()
    wait_for_heading(page, "Head")


def test_the_keyboard_goes_everywhere(visit):
    page = visit()
    page.locator("svg.clickable").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tooltip").is_visible()
    assert "seed" in page.locator("#said").inner_text()
    page.keyboard.press("Enter")
    wait_for_heading(page, "Head")
    first = heading(page)
    page.locator("a[rel=next]").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("h1").get_by_text(first.splitlines()[0]).wait_for(state="detached")
    page.keyboard.press("ArrowLeft")
    wait_for_heading(page, first.splitlines()[0])


def test_the_theme_can_be_changed(visit):
    page = visit(color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Dark or light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_every_chart_has_words_and_a_table(visit):
    page = visit("#/run/base/0/head/1.0")
    page.wait_for_timeout(100)
    for chart in page.locator("svg[role=img]").all():
        assert chart.get_attribute("aria-label")
    figures = page.locator("figure").all()
    assert len(figures) > 8
    for each in figures:
        each.locator("summary").last.click()
        each.locator("table").first.wait_for(state="attached")
        assert "pandas.read_parquet" in each.locator("dl.made").first.inner_text()


def test_a_place_that_is_not_there_says_so(visit):
    assert heading(visit("#/run/base/0/head/9.9")) == "There is no head 9.9 in run base, seed 0."
    assert heading(visit("#/nowhere")) == "There is no such page."


def test_the_browser_itself_lets_nothing_else_run_or_load(browser, file):
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'run'";
          document.body.append(script);
          const image = new Image();
          image.src = "https://example.org/x.png";
        }"""
    )
    page.wait_for_timeout(100)
    assert page.title() != "run"
    assert sum("Content Security Policy" in message for message in said) == 2
    page.close()
