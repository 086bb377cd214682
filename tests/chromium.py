"""A headless Chromium that tests steer: open a page, type, press, read, photograph. Speaks the DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60.0


class Tab:
    """One page; `requests` holds every address that it asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.requests, self._last = socket, [], 0

    async def call(self, method: str, **parameters: object) -> dict:
        """Send a command and wait for its result; notes what the page asks for meanwhile."""
        self._last += 1
        await self.socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive_json(timeout=PATIENCE)
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") == self._last:
                assert "error" not in message, message
                return message["result"]

    async def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        for domain in ("Network", "Page", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.call("Page.navigate", url=address)

    async def run(self, script: str) -> object:
        """The value of a JavaScript expression."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> object:
        """The expression's value, once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := await self.run(script)):
            assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {script}"
            await asyncio.sleep(0.1)
        return value

    async def type(self, selector: str, text: str) -> None:
        """Replace what is in a field, as a person would: click it, select all, type."""
        await self.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.run(f"(e => {{ e.focus(); e.select() }})(document.querySelector({json.dumps(selector)}))")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            more = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    async def click(self, selector: str) -> None:
        """A real click in the middle of an element."""
        spot = await self.until(
            f"(e => {{ if (!e) return null; e.scrollIntoView({{block: 'center'}}); "
            f"const b = e.getBoundingClientRect(); "
            f"return [b.x + b.width / 2, b.y + b.height / 2] }})(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", clickCount=1)

    async def photograph(self, file: Path) -> None:
        """The whole page as a PNG."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


def browse(folder: Path, visit: Callable[[Tab], Awaitable[None]]) -> None:
    """Start a browser whose profile is in `folder`, let `visit` use a tab, and end it."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    process = subprocess.Popen([BROWSER, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_visit(folder / "DevToolsActivePort", visit))
    finally:
        process.terminate()
        process.wait(20)


async def _visit(ports: Path, visit: Callable[[Tab], Awaitable[None]]) -> None:
    end = time.monotonic() + PATIENCE
    while not (ports.exists() and ports.read_text().strip()):
        assert time.monotonic() < end, "the browser did not start"
        await asyncio.sleep(0.1)
    address = f"http://127.0.0.1:{ports.read_text().split()[0]}/json/list"
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as answer:
            tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
        async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await visit(Tab(socket))
