"""A headless Chromium that opens our pages; without one, or without selenium, these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One window; whatever its console says is kept."""

    def __init__(self, driver: Any):
        self.driver = driver

    def open(self, page: Path, width: int, height: int = 900) -> None:
        """Show a page as on a screen of this size, and wait until it has drawn everything."""
        self.size(width, height)
        self.driver.get(page.as_uri())
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda _: self.run(f"return {condition}"))

    def complaints(self) -> list[str]:
        """What the console has said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser() -> Generator[Browser, None, None]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install -e '.[browser]'")
    binary = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver_binary = shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        pytest.skip("there is no Chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_binary))
    yield Browser(driver)
    driver.quit()
