// `npm run bench:ui [-- --json]`: the UI's first load from a cold cache in Chromium, against the local system.
// Build first.
import { firstLoad, launchBrowser, startWithUi } from "../tests/support/ui.mjs";

const RUNS = 10;
const system = await startWithUi();
const browser = await launchBrowser();
try {
  const runs = [];
  for (let i = 0; i < RUNS; i++) runs.push(await firstLoad(browser, system));
  const middle = (name) => runs.map((run) => run[name]).sort((a, b) => a - b)[Math.floor(RUNS / 2)];
  const result = {
    bytes: runs[0].bytes,
    paint_ms: middle("paint_ms"),
    usable_ms: middle("usable_ms"),
    files: runs[0].files,
  };
  if (process.argv.includes("--json")) console.log(JSON.stringify(result));
  else {
    const kib = (bytes) => `${(bytes / 1024).toFixed(1).padStart(7)} KiB`;
    for (const { name, bytes } of result.files.sort((a, b) => b.bytes - a.bytes))
      console.log(`${kib(bytes)}  ${name}`);
    console.log(
      `${kib(result.bytes)}  in all; first paint ${result.paint_ms.toFixed(0)} ms, usable ${result.usable_ms.toFixed(0)} ms (median of ${RUNS})`,
    );
  }
} finally {
  await browser.close();
  await system.stop();
}
