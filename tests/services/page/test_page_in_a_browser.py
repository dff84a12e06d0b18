"""The page in a real browser: it lays out, its script runs, and hovering and zooming do what they say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from classpulse.page import Panel, timeline_page
from tests.services.page.rooms import lesson, school_day
from tests.support import require

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--dump-dom",
)
PROBE = """<script>
var seen={};
var bar=document.querySelector('.scroll rect.f,.scroll rect.mean'),box=bar.getBoundingClientRect();
function move(){bar.dispatchEvent(new PointerEvent('pointermove',
 {bubbles:true,clientX:box.left+box.width/2,clientY:box.top+2}))}
move();
seen.tip=document.getElementById('tip').textContent;
seen.tip_shown=getComputedStyle(document.getElementById('tip')).display;
seen.crosses=[].filter.call(document.querySelectorAll('.cross'),function(c){return c.style.display==='block'}).length;
seen.sideways=document.documentElement.scrollWidth>innerWidth;
var svg=document.querySelector('.scroll svg');
seen.width=svg.getBoundingClientRect().width;
seen.plot=document.querySelector('.scroll').clientWidth;
document.getElementById('in').click();
seen.zoomed=svg.getBoundingClientRect().width;
document.getElementById('fit').click();
seen.fitted=svg.getBoundingClientRect().width;
seen.cut=[].filter.call(document.querySelectorAll('.names div'),function(d){return d.scrollWidth>d.clientWidth}).length;
seen.bar=box.width;
document.body.setAttribute('data-seen',JSON.stringify(seen));
</script>"""


def opened(panels: list[Panel], folder: Path, *, width: int) -> dict[str, object]:
    """What the probe found in the page opened in Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require("browser", browser, "no chromium on the path")
    page = timeline_page(panels, title="Timelines").replace("</body>", f"{PROBE}</body>")
    (folder / "page.html").write_text(page, encoding="utf-8")
    command = [str(browser), *FLAGS, f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*command, f"file://{folder / 'page.html'}"], capture_output=True, timeout=90, check=False)
    (found,) = re.findall(r'data-seen="([^"]*)"', done.stdout.decode())
    seen: dict[str, object] = json.loads(found.replace("&quot;", '"').replace("&gt;", ">").replace("&amp;", "&"))
    return seen


@pytest.mark.parametrize("width", [1400, 600])
def test_a_lesson_lays_out_tells_on_hovering_and_zooms(tmp_path: Path, width: int) -> None:
    seen = opened([lesson(1), lesson(2)], tmp_path, width=width)
    assert re.match(r"hand-raising: found(, but not true)?, 08:0\d:\d\d\.\d for \d+\.\d s", str(seen["tip"]))
    assert (seen["tip_shown"], seen["crosses"]) == ("block", 2)
    assert (seen["sideways"], seen["cut"]) == (False, 0)
    assert (seen["width"], seen["fitted"]) == (seen["plot"], seen["plot"])
    assert seen["zoomed"] == 2 * int(str(seen["plot"]))
    assert float(str(seen["bar"])) > 3


def test_a_school_day_lays_out_and_its_columns_tell_their_numbers(tmp_path: Path) -> None:
    seen = opened([school_day(i) for i in range(6)], tmp_path, width=1400)
    assert re.match(r"hand-raising, 08:00:00\.0 \+ 5 min|hand-raising, 08:00:00\.0 \+ \d", str(seen["tip"]))
    assert (seen["sideways"], seen["cut"], seen["crosses"]) == (False, 0, 6)
