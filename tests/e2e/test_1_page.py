"""The page in a real browser: what the stack does is seen there, and nobody needs a mouse or a wide screen."""

import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from apps import datasets
from apps.common.batches import Manifest, describe_part, schema_hash
from apps.common.waiting import wait_until
from stack.cli.page import server
from tests.e2e.browser import DESK, PHONE, browsing, prefer, resize, shortcomings

pytestmark = pytest.mark.once
SEEN_S = 30
RATE = 20
NASTY = "used_cars-nasty"
MARK = "<b>bold</b>"  # what a file may be called, and a reason quotes


@pytest.fixture(scope="module")
def window(stack, two_versions):
    """A browser that shows the page of the stack."""
    with server.beside(stack) as url, browsing() as window:
        window.get(url)
        yield window


def text(window, place):
    """The text of one place of the page, also of what is scrolled out of sight."""
    return window.find_element(By.CSS_SELECTOR, place).get_property("textContent")


def until(window, place, wanted, seconds=SEEN_S):
    """Wait until a place shows a text."""
    wait_until(
        lambda: wanted in text(window, place),
        seconds,
        lambda: f"{place} must show {wanted!r}; got {text(window, place)!r}",
    )


def answers_a_second(window):
    """The rate that the page shows; 0 while it shows none."""
    shown = text(window, "#f-answers").removesuffix("/s")
    return float(shown) if shown[0].isdigit() else 0


def count(window, place):
    """How many there are of it."""
    return len(window.find_elements(By.CSS_SELECTOR, place))


def put_nasty_batch(pipeline, folder):
    """A batch whose only row names a column that is not there, in words that would be HTML."""
    dataset = datasets.get("used_cars")
    header = [*dataset.column_names[:-1], MARK]
    part = folder / "part-0.csv"
    part.write_text(",".join(header) + "\n" + ",".join("1" for _ in header) + "\n")
    told = {"dataset": "used_cars", "schema_hash": schema_hash(dataset.column_names), "created": "2026-01-01T00:00:00Z"}
    pipeline.store.put(NASTY, [part], Manifest(rows=1, parts=(describe_part(part),), **told))


def test_the_page_shows_what_the_stack_does(window, stack, pipeline, ledger, tmp_path):
    """
    Versions, batches, traffic and a hand-over are seen as they come; a roll-back is done by the keyboard alone.
    """
    newest = pipeline.served_version()
    until(window, "#versions", "used_cars-0001")
    until(window, "#batches", "used_cars-0001")
    until(window, "#f-serving", f"version {newest}")
    put_nasty_batch(pipeline, tmp_path)
    until(window, "#batches", NASTY)

    with ledger.traffic(rate=RATE):
        wait_until(lambda: answers_a_second(window) > RATE / 2, SEEN_S, lambda: text(window, "#f-answers"))
        assert re.fullmatch(r"[\d.,]+ ms", text(window, "#f-p99"))
        marks, before = count(window, "[data-mark=hand-over]"), count(window, "#events .hand-over")
        press_roll_back(window)
        until(window, "#said", "is champion now")
        wait_until(lambda: count(window, "#events .hand-over") > before, 120, "no hand-over in the list")
        wait_until(lambda: count(window, "[data-mark=hand-over]") > marks, SEEN_S, "no mark of it on the time line")
        pipeline.promote(newest)
        pipeline.wait_until_served(newest)

    until(window, "#f-serving", f"version {newest}")
    assert set() == ledger.missing()
    until(window, "#batches", MARK, seconds=120)
    assert 0 == count(window, "#batches b")
    on = stack.settings.get("BATON_LIVE_METRICS") == "on"
    until(window, "#c-live", f"version {newest}" if on else "live metrics are off")


def press_roll_back(window):
    """Tab to the button, Enter, and in the question, which offers to leave it, Shift-Tab and Enter."""
    body = window.find_element(By.TAG_NAME, "body")
    for _ in range(20):
        body.send_keys(Keys.TAB)
        if window.switch_to.active_element.get_attribute("id") == "rollback":
            break
    window.switch_to.active_element.send_keys(Keys.ENTER)
    assert "ask-no" == window.switch_to.active_element.get_attribute("id")
    window.switch_to.active_element.send_keys(Keys.SHIFT, Keys.TAB)
    window.switch_to.active_element.send_keys(Keys.ENTER)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everybody_can_read_it(window, scheme, size):
    """
    Names, headings, landmarks and contrast are as they must be, and a phone need not be scrolled sideways.
    """
    resize(window, size)
    prefer(window, scheme)
    until(window, "#link", "live")

    assert [] == shortcomings(window)
    assert window.execute_script("return document.documentElement.scrollWidth") <= size[0]


def test_the_console_has_no_errors(window):
    """
    Neither the scripts nor the policy of the page have anything to complain of.
    """
    assert [] == [line["message"] for line in window.get_log("browser") if line["level"] == "SEVERE"]
