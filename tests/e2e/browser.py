"""A browser without a window: Debian's chromium, or a Chrome that the machine has, driven by Selenium."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from apps.common.errors import Unavailable
from stack.kind_from_source import docker

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
DRIVER = "chromedriver"
PACKAGES = ["chromium", "chromium-driver"]
PHONE, DESK = (390, 844), (1200, 900)


def programs():
    """The browser and its driver; root on Debian gets them installed. Raises Unavailable where they cannot be had."""
    if not _found() and shutil.which("apt-get") and os.geteuid() == 0:
        docker.install(PACKAGES, print)
    if found := _found():
        return found
    raise Unavailable(
        f"a browser and its driver must be on the path; got none; as root: apt-get install {' '.join(PACKAGES)}"
    )


def _found():
    driver = shutil.which(DRIVER)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    return (browser, driver) if browser and driver else None


@contextmanager
def browsing():
    """A browser while the block runs."""
    browser, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        resize(window, DESK)
        yield window
    finally:
        window.quit()


def resize(window, size):
    """Show the page so wide and high."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(window, scheme):
    """Let the reader's system be light or dark."""
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)


def shortcomings(window):
    """What a reader who cannot see it, or not well, would miss, in words."""
    return window.execute_script((Path(__file__).parent / "accessibility.js").read_text())
