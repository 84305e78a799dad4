// The whole system with the UI on separate ports, a browser, and the steps that several tests share.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, afterEach, before } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { chromium } from "playwright-core";
import { startIssuer } from "../../local/issuer.mjs";
import { startUpstream } from "../../local/upstream.mjs";
import { SECRETS, startWorkers } from "../../local/system.mjs";
import { ensureBrowser, root } from "../../scripts/setup.mjs";
import { applySchema, databasesOf, eventually, freePorts } from "./harness.mjs";
import { strictOptions, strictVars, watch } from "./strictness.mjs";

const key = () => randomBytes(32).toString("base64");

/**
 * Starts gateway, admin API, UI, issuer and upstream; `call` calls the admin API as a person.
 * @param {Record<string, any>} [options]
 */
export async function startWithUi({ apiVars = {}, clerkKey, strict, expected } = {}) {
  const [gateway, api, ui, issuerPort] = await freePorts(4);
  const origin = `http://localhost:${ui}`;
  const [upstream, issuer] = await Promise.all([startUpstream(), startIssuer({ port: issuerPort, origin })]);
  const secrets = Object.fromEntries(SECRETS.map((name) => [name, key()]));
  const limits = strictVars(strict);
  const workers = await startWorkers(
    { gateway, api, ui, issuer: issuerPort },
    {
      onLog: () => {},
      clerkKey,
      vars: {
        gateway: { ...secrets, ...limits, USAGE_FLUSH_MS: "100" },
        "admin-api": { ...secrets, ...limits, CANARY_EVERY_MIN: "0", ...apiVars },
      },
      ...strictOptions(),
    },
  );
  const databases = await databasesOf(workers);
  await applySchema(databases);
  const urls = { gateway: `http://localhost:${gateway}`, api: `http://localhost:${api}`, ui: origin };
  const call = async (user, method, where, body) => {
    const response = await fetch(urls.api + where, {
      method,
      headers: { authorization: `Bearer ${issuer.sign(`user_${user}`)}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
  const watched = watch(
    { gateway: (where) => fetch(urls.gateway + where), api: (where) => fetch(urls.api + where) },
    expected,
  );
  return {
    ...watched,
    urls,
    upstream,
    issuer,
    call,
    db: databases.DB,
    /** Runs the admin API's cron once. */
    cron: async () => runCron(await workers.getWorker("admin-api")),
    /** Adds a route to the demo upstream. */
    addRoute: (name, path, to, more = {}) =>
      call("admin", "POST", "/api/routes", {
        name,
        path,
        backend_url: upstream.url + to,
        tags: ["demo"],
        ...more,
      }),
    stop: () =>
      watched.stopWatching(async () => {
        await workers.dispose();
        await Promise.all([upstream.close(), issuer.close()]);
      }),
  };
}

/** @param {any} worker */
const runCron = (worker) => worker.scheduled({ cron: "* * * * *", scheduledTime: new Date() });

export async function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROME_PATH ?? (await ensureBrowser()),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * The system and the browser of a file's tests, from when `useUi` has started them.
 * @type {any}
 */
export let system;
/** @type {any} */
export let browser;

/**
 * Starts the system and a browser before a file's tests, then prepares the system for them; stops both after the tests.
 * @param {() => Promise<any>} [prepare]
 * @param {Parameters<typeof startWithUi>[0]} [options]
 */
export function useUi(prepare = async () => {}, options = {}) {
  before(
    async () => {
      system = await startWithUi(options);
      browser = await launchBrowser();
      await prepare();
    },
    { timeout: 180_000 },
  );
  after(async () => {
    await browser?.close();
    await system?.stop();
  });
}

/** Pages that are still open. */
const openPages = new Set();

/** A failed test shows its pages: address, dialog or content, values typed in, and failed requests. */
afterEach(async (context) => {
  const pages = [...openPages];
  openPages.clear();
  if (context.passed) return;
  // One line each: TAP escapes line breaks.
  for (const page of pages) (await described(page)).forEach((line) => context.diagnostic(line));
});

/** Describes a page in lines. */
async function described(page) {
  const seen = await page
    .evaluate(() => {
      const shown = document.querySelector("dialog[open]") ?? document.querySelector("main") ?? document.body;
      const name = (field) => field.labels?.[0]?.textContent ?? field.name;
      const all = /** @type {NodeListOf<HTMLInputElement>} */ (
        shown.querySelectorAll("input, select, textarea")
      );
      const fields = [...all].filter((field) => field.type !== "password");
      const value = (field) => (field.type === "checkbox" ? field.checked : field.value);
      return {
        text: /** @type {HTMLElement} */ (shown).innerText,
        fields: fields.map((field) => `${name(field)}: ${value(field)}`),
      };
    })
    .catch((error) => ({ text: String(error), fields: [] }));
  return [page.url(), ...seen.text.split("\n"), ...seen.fields, ...page.failures, ...page.problems];
}

/** Opens a page in a separate context, which collects the browser's complaints and failed requests. */
export async function openPage(
  browser,
  system,
  { theme = "light", language = "en", width = 1440, height = 900, ...more } = {},
) {
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: "Asia/Taipei",
    viewport: { width, height },
    ...more,
  });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: system.urls.ui });
  await context.addInitScript(
    ([theme, language]) => {
      localStorage.getItem("theme") ?? localStorage.setItem("theme", theme);
      localStorage.getItem("language") ?? localStorage.setItem("language", language);
    },
    [theme, language],
  );
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.problems = [];
  page.failures = [];
  openPages.add(page);
  page.on("close", () => openPages.delete(page));
  page.on("requestfailed", (request) =>
    page.failures.push(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`),
  );
  page.on("response", async (response) => {
    if (response.status() < 400) return;
    const text = await response.text().catch(String);
    page.failures.push(
      `${response.request().method()} ${response.url()}: ${response.status()} ${text.slice(0, 500)}`,
    );
  });
  page.on("console", (message) => {
    // Complaints on the issuer's page do not count.
    const isOurs = !message.location().url.startsWith(system.issuer.url);
    if (message.type() === "error" && isOurs)
      page.problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => page.problems.push(String(error)));
  return page;
}

/** Lets the API accept the session no longer while a page is open, and opens another page. */
export async function endSession(page, system) {
  await page.route(`${system.urls.api}/api/routes**`, (route) =>
    route.fulfill({
      status: 401,
      contentType: "application/json",
      headers: { "access-control-allow-origin": system.urls.ui },
      body: JSON.stringify({
        error: "Session Expired",
        message: "The session has ended.",
        code: "session-expired",
        request_id: "r",
      }),
    }),
  );
  await page
    .getByRole("navigation", { name: "Main navigation" })
    .getByRole("link", { name: "Routes" })
    .click();
}

/** Signs in on the issuer's page, from a page and back to it. */
export async function signIn(page, system, user, path = "/dashboard") {
  await page.goto(system.urls.ui + path);
  await page.getByRole("button", { name: /^(Sign in|登入)$/ }).click();
  await page.locator(`button[value="${user}"]`).click();
  await page.waitForURL((url) => url.href.startsWith(system.urls.ui) && !url.hash);
  // Wait for the program's heading: the first paint's heading comes before the program.
  await page.locator("main h1").first().waitFor();
}

/**
 * Loads the sign-in page, or a member's page, from a cold cache. Returns the fetched bytes in brotli, the first paint, and the
 * time until the page can be used, in ms.
 */
export async function firstLoad(browser, system, { path = "/sign-in", as = undefined } = {}) {
  const page = await openPage(browser, system);
  const answers = [];
  page.on(
    "response",
    (answer) => answer.url().startsWith(system.urls.ui) && answer.ok() && answers.push(answer),
  );
  await page.goto(`${system.urls.ui}${path}${as ? `#__session=${system.issuer.sign(`user_${as}`)}` : ""}`);
  if (as) await page.locator("main h1").first().waitFor();
  else await page.getByRole("button", { name: "Sign in" }).waitFor();
  const usable_ms = await page.evaluate(() => performance.now());
  await page.waitForLoadState("networkidle");
  const paint_ms = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0].startTime,
  );
  const files = await Promise.all(
    answers.map(async (answer) => {
      const [name, body] = [new URL(answer.url()).pathname, await answer.body()];
      // These are compressed already.
      return { name, bytes: name.endsWith(".woff2") ? body.length : brotliCompressSync(body).length };
    }),
  );
  await page.context().close();
  return { files, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), paint_ms, usable_ms };
}

/** Reads the browser's clipboard, which all of its pages share. */
export const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());

/** Presses a button that copies, and returns what it copied: nothing that an earlier press left there. */
export async function copied(page, button) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await button.click();
  return eventually(async () => (await clipboard(page)) || undefined, 10_000, "the clipboard");
}

export function assertNoProblems(page) {
  assert.deepEqual(page.problems, []);
}

/** Waits until nothing is loading any more. */
export async function settle(page) {
  // Wait for the program's heading: the first paint's heading comes before the program.
  await page.locator("main h1").first().waitFor();
  await page.locator(".tm-loading").first().waitFor({ state: "detached" });
  await page.waitForFunction(() =>
    [...document.querySelectorAll("tm-chart")].every((chart) => chart.querySelector("svg")),
  );
}

const axe = readFileSync(path.join(root, "node_modules/axe-core/axe.min.js"), "utf8");

/** Returns the violations of WCAG 2.1 A and AA, each with its place. */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  return page.evaluate(async () => {
    // Text that is still fading in does not have its contrast yet.
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const isFinite = (animation) => animation.effect.getComputedTiming().endTime !== Infinity;
    await Promise.allSettled(
      document
        .getAnimations()
        .filter(isFinite)
        .map((animation) => animation.finished),
    );
    const { violations } = await window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
    );
  });
}
