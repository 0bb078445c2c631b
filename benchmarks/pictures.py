"""The pictures of README and docs, made anew from the tree: ``make pictures``.

The founding chart of three networks as SVG, and the report of the example's model as a browser shows it on a desktop
and on a phone. Needs Chromium with its driver for the latter, as ``make browser`` does.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from networks import cached
from PIL import Image

from sim.machine.description import load
from tools.reports.intensity.convolutions import convolutions
from tools.reports.intensity.svg import svg
from tools.reports.page import page
from tools.reports.reporting import profile_of

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
NETWORKS = ("yolov3", "resnet50", "inception_v1")
EXAMPLE = ROOT / "examples" / "mobilenetv1_vww_int8.onnx"
SCREENS = {"report_wide.png": (1280, 1500), "report_narrow.png": (390, 1500)}
READY = "return document.documentElement.dataset.ready === 'yes'"
"""What a page of ours says when it has drawn everything."""

COLOURS = 128
"""Of a screenshot's palette: the pages have few, and the file is a third."""


def browser() -> Any:
    """A headless Chromium that reaches no network; SystemExit where there is none."""
    from selenium import webdriver

    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if binary is None or driver is None:
        raise SystemExit("The screenshots need Chromium with its chromedriver.")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def screenshots(html: Path) -> None:
    """The page at every width of SCREENS."""
    from selenium.webdriver.support.ui import WebDriverWait

    shown = browser()
    try:
        for name, (width, height) in SCREENS.items():
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
            shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            shown.get(html.as_uri())
            WebDriverWait(shown, 60).until(lambda driver: driver.execute_script(READY))
            picture = Image.open(io.BytesIO(shown.get_screenshot_as_png())).convert("RGB")
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)
            print(FOLDER / name)
    finally:
        shown.quit()


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    machine = load("edge4k")
    models = [convolutions(cached(name), machine, {}, True) for name in NETWORKS]
    (FOLDER / "roofline.svg").write_text(svg(models, machine), encoding="utf-8")
    print(FOLDER / "roofline.svg")
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder, "report.html")
        html.write_text(page(profile_of(EXAMPLE)), encoding="utf-8")
        screenshots(html)


if __name__ == "__main__":
    main()
