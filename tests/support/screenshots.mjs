// `node tests/support/screenshots.mjs [--out docs/screenshots] [--theme light|dark] [--language en|zh-Hant]
// [--width 1440] [--user admin]`: a picture of every page, of a system with made-up data. Build first.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { launchBrowser, openPage, signIn, startWithUi } from "./ui.mjs";
import { root, say } from "../../scripts/setup.mjs";

/** @param {string} value */
const text = (value) => ({ type: /** @type {const} */ ("string"), default: value });
const { values } = /** @type {{ values: any }} */ (
  parseArgs({
    options: {
      out: text("docs/screenshots"),
      theme: text("light"),
      language: text("en"),
      width: text("1440"),
      user: text("admin"),
    },
  })
);
const out = path.resolve(root, values.out);
mkdirSync(out, { recursive: true });

const system = await startWithUi();
const browser = await launchBrowser();
try {
  await system.addRoute("Echo", "/api/demo", "/echo", { credential: { kind: "bearer", token: "made-up" } });
  const openai = await system.addRoute("OpenAI-like", "/api/openai", "/v1", {
    tags: ["ai"],
    credential: { kind: "header", name: "X-Vendor", value: "made-up" },
  });
  await system.addRoute("Status", "/api/status", "/status", { methods: ["GET", "POST"] });
  const tokens = [];
  for (const [name, team_id, scopes, expires_days] of [
    ["Daily digest", "automation", ["*"], null],
    ["OpenAI summaries", "automation", ["openai", "GET /api/demo/*"], 10],
    [
      "Image conversion of the shop",
      "automation",
      ["tag:demo", "tag:gone", "status", "GET,POST /api/openai/models"],
      90,
    ],
    ["Platform probe", "core-team", ["demo"], 365],
  ]) {
    const made = await system.call("admin", "POST", "/api/tokens", { name, team_id, scopes, expires_days });
    tokens.push(made);
    for (const where of ["demo/hello", "openai/models", "status/500", "status/404", "demo/b", "demo/c"]) {
      await (
        await fetch(`${system.urls.gateway}/api/${where}`, { headers: { "x-api-key": made.token } })
      ).text();
    }
  }
  // The design allows ten seconds from a call to the reports.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const pages = {
    home: "/dashboard",
    usage: "/usage?compare=previous",
    "usage-tokens": "/usage?by=token&metric=cost&compare=previous",
    calls: "/calls",
    tokens: "/tokens",
    token: `/tokens/${tokens[2].id}`,
    routes: "/routes",
    route: `/routes/${openai.id}`,
    teams: "/teams",
    team: "/teams/automation",
    users: "/users",
    models: "/models",
    keys: "/keys",
    "audit-logs": "/audit-logs",
    "audit-verify": "/audit-logs/verify",
    import: "/import",
    "system-health": "/system-health",
  };
  const page = await openPage(browser, system, { ...values, width: Number(values.width), height: 900 });
  await page.goto(`${system.urls.ui}/sign-in`);
  await page.locator("main h1").first().waitFor();
  await page.screenshot({ path: path.join(out, "sign-in.png") });
  await signIn(page, system, values.user);
  for (const [name, where] of Object.entries(pages)) {
    await page.setViewportSize({ width: Number(values.width), height: 900 });
    await page.goto(system.urls.ui + where);
    await page.locator("main h1").first().waitFor();
    await page.locator(".tm-loading").first().waitFor({ state: "detached" });
    // The page scrolls inside its frame: the window grows until all of it is in view.
    const height = await page.evaluate(() => document.querySelector("main").scrollHeight + 120);
    await page.setViewportSize({
      width: Number(values.width),
      height: Math.min(Math.max(height, 900), 3_000),
    });
    await page.waitForTimeout(500);
    await page.screenshot({ path: path.join(out, `${name}.png`) });
  }
  if (page.problems.length > 0) throw new Error(`the browser complains: ${page.problems.join("; ")}`);
  say(`${Object.keys(pages).length + 1} pictures in ${out}`);
} finally {
  await browser.close();
  await system.stop();
}
process.exit(0);
