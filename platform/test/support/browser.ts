import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

/** Nothing of its own to fetch or to tell, and the machine's proxy is for others. The tests run as root, as which it has no sandbox. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--no-proxy-server",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A real browser without a window, with a fresh profile that goes when it is closed. */
export async function startBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `Cannot start a browser: there is no ${CHROMIUM}. On Debian make test installs it; elsewhere install Chromium and link it there.`,
    );
  }
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}
