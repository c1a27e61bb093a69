"""The page in headless Chromium: no error, nothing wider than the screen, tables that sort, contrast, print."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from hificl.reporting import Report

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
WIDTHS = (390, 1280)
REMEDY = "the page is tested in Chromium: apt-get install --no-install-recommends chromium chromium-driver"

CONTRASTS = """
const light = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const luminance = (c) => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (node) => {
  for (let one = node; one; one = one.parentElement) {
    const colour = parse(getComputedStyle(one).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const found = [];
document.querySelectorAll('details').forEach((one) => { one.open = true; });
const texts = 'h1, h2, h3, p, li, a, td, th, button, summary, figcaption, .hole, svg.figure text';
document.querySelectorAll(texts).forEach((node) => {
  if (!node.textContent.trim() || node.closest('.sr, .skip')) return;
  const style = getComputedStyle(node);
  const painted = node instanceof SVGElement ? style.fill : style.color;
  if (node instanceof SVGElement && (painted === 'rgb(255, 255, 255)' || painted === 'rgb(0, 0, 0)')) return;
  const one = luminance(parse(painted)), other = luminance(ground(node));
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  found.push([ratio, node.tagName + ': ' + node.textContent.trim().slice(0, 40)]);
});
return found;
"""


@pytest.fixture(scope="module")
def address(report: Report) -> str:
    return report.page.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary is not None, REMEDY
    assert driver is not None, REMEDY
    options = ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    chrome = Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


def show(browser: Chrome, address: str, width: int, *, dark: bool = False, media: str = "screen") -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_error_no_request_no_overflow(browser: Chrome, address: str, width: int) -> None:
    show(browser, address, width)
    browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    inside = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"
    )
    assert inside[2] == width
    assert max(inside[:2]) <= width
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    urls = [one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_tables_scroll_on_their_own(browser: Chrome, address: str, width: int) -> None:
    show(browser, address, width)
    wide = browser.execute_script(
        "return [...document.querySelectorAll('main > section .scroll')].filter((one) => one.offsetParent)"
        ".map((one) => [one.getBoundingClientRect().right, getComputedStyle(one).overflowX, one.tabIndex])"
    )
    assert wide
    assert all(right <= width and overflow == "auto" and tab == 0 for right, overflow, tab in wide)


def column(browser: Chrome, table: str, place: int) -> list[str]:
    rows: list[str] = browser.execute_script(
        f"return [...document.querySelectorAll('#{table} tbody tr')].map((row) => "
        f"row.cells[{place}].textContent.trim())"
    )
    return rows


def states(browser: Chrome, table: str) -> list[str]:
    return [
        head.get_attribute("aria-sort") or "" for head in browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th")
    ]


def test_tables_sort_by_click_and_holes_stay_last(browser: Chrome, address: str) -> None:
    show(browser, address, 1280)
    table = "main_overview_table"
    head = browser.find_elements(By.CSS_SELECTOR, f"#{table} thead button")[1]
    assert states(browser, table) == ["none", "none", "none"]
    head.click()
    assert states(browser, table) == ["none", "descending", "none"]
    falling = column(browser, table, 1)
    head.click()
    assert states(browser, table) == ["none", "ascending", "none"]
    rising = column(browser, table, 1)
    numbers = [float(text.split()[0]) for text in rising[:5]]
    assert numbers == sorted(numbers)
    assert set(falling[5:]) == set(rising[5:]) == {"failed", "–"}


def test_tables_sort_by_keyboard(browser: Chrome, address: str) -> None:
    show(browser, address, 1280)
    head = browser.find_elements(By.CSS_SELECTOR, "#main_overview_table thead button")[0]
    head.send_keys(Keys.ENTER)
    names = column(browser, "main_overview_table", 0)
    assert names == sorted(names, key=str.lower)
    head.send_keys(Keys.SPACE)
    assert column(browser, "main_overview_table", 0) == names[::-1]


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read(browser: Chrome, address: str, dark: bool) -> None:
    show(browser, address, 1280, dark=dark)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(21, 23, 26)") == dark
    found: list[tuple[float, str]] = browser.execute_script(CONTRASTS)
    assert len(found) > 500
    assert [(round(ratio, 2), what) for ratio, what in found if ratio < 4.5] == []


def test_figures_take_the_colours_of_the_page(browser: Chrome, address: str) -> None:
    fills = []
    for dark in (False, True):
        show(browser, address, 1280, dark=dark)
        fills.append(browser.execute_script("return getComputedStyle(document.querySelector('svg.figure text')).fill"))
    assert fills == ["rgb(28, 29, 31)", "rgb(233, 231, 226)"]


def test_print_is_light_and_without_navigation(browser: Chrome, address: str) -> None:
    show(browser, address, 1280, dark=True, media="print")
    hidden: Any = browser.execute_script(
        "return [getComputedStyle(document.querySelector('nav')).display, "
        "getComputedStyle(document.body).backgroundColor]"
    )
    assert hidden == ["none", "rgb(255, 255, 255)"]
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('.note')).color") == "rgb(92, 96, 102)"
    )
    show(browser, address, 700, media="print")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 700
    document = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert document.startswith(b"%PDF")
    assert 3 <= document.count(b"/Type /Page\n") <= 30


def test_a_phone_shows_readable_letters(browser: Chrome, address: str) -> None:
    show(browser, address, 390)
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('svg.figure text')].map((one) => one.getBoundingClientRect().height)"
    )
    assert min(sizes) > 9
