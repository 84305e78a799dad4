// The frame, the first page, the explorer, and the prices of models.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "../support/harness.mjs";
import {
  assertNoProblems,
  browser,
  openPage,
  settle,
  signIn,
  system,
  useUi,
  violations,
} from "../support/ui.mjs";

let route, token;
const others = [];
useUi(async () => {
  route = await system.addRoute("Echo", "/api/demo", "/echo");
  await system.addRoute("Status", "/api/status", "/status");
  token = await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["*"],
    expires_days: 5,
  });
  const call = async (secret, path) =>
    (await fetch(system.urls.gateway + path, { headers: { "x-api-key": secret } })).text();
  for (let n = 0; n < 55; n++) {
    const made = await system.call("manager", "POST", "/api/tokens", {
      name: `Workflow ${String(n).padStart(2, "0")}`,
      team_id: "automation",
      scopes: ["demo"],
      expires_days: 90,
    });
    others.push(made);
    await call(made.token, "/api/demo/x");
  }
  for (const path of ["demo/a", "demo/b", "status/500", "status/404", "none"])
    await call(token.token, `/api/${path}`);
  await eventually(
    async () => (await system.call("admin", "GET", "/api/dashboard/home")).total.calls === 60,
    30_000,
    "all calls in the report",
  );
});

test("the navigation has eight entries, and the settings their pages; a viewer sees those that they may open", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/dashboard");
  const nav = page.getByRole("navigation", { name: "Main navigation" });
  assert.deepEqual(await nav.getByRole("link").allInnerTexts(), [
    "Home",
    "Usage",
    "Calls",
    "Tokens",
    "Routes",
    "Teams & people",
    "Models & prices",
    "Settings",
  ]);
  await nav.getByRole("link", { name: "Settings" }).click();
  const tabs = page.getByRole("navigation", { name: "Settings" });
  await tabs.waitFor();
  assert.deepEqual(await tabs.getByRole("link").allInnerTexts(), [
    "Alerts",
    "Audit log",
    "API keys",
    "System health",
    "Import",
  ]);
  await tabs.getByRole("link", { name: "System health" }).click();
  await page.getByRole("heading", { name: "System health", level: 1 }).waitFor();
  assert.equal(await nav.locator('[aria-current="page"]').innerText(), "Settings");
  assert.equal(await tabs.locator('[aria-current="page"]').innerText(), "System health");
  assertNoProblems(page);
  await page.context().close();
  const viewer = await openPage(browser, system);
  await signIn(viewer, system, "viewer", "/settings");
  await viewer.getByRole("heading", { name: "API keys", level: 1 }).waitFor();
  const own = viewer.getByRole("navigation", { name: "Settings" });
  assert.deepEqual(await own.getByRole("link").allInnerTexts(), ["API keys", "System health"]);
  await viewer.context().close();
});

test("addresses of earlier versions lead to the explorer with their filter", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/dashboard");
  for (const [from, to] of /** @type {any[][]} */ ([
    ["/usage-analytics?team=automation&range=7d", { team: "automation", range: "7d" }],
    ["/token-usage", { by: "token" }],
    [`/token-usage/${token.id}?range=30d`, { token: token.id, range: "30d" }],
    ["/route-usage-list", { by: "route" }],
    ["/route-usage?path=/api/demo", { by: "token", route: route.id }],
    ["/stats", {}],
  ])) {
    await page.goto(system.urls.ui + from);
    await page.waitForURL((url) => url.pathname === "/usage");
    await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
    assert.deepEqual(Object.fromEntries(new URL(page.url()).searchParams), to, from);
  }
  assertNoProblems(page);
  await page.context().close();
});

test("the first page's figures are asked for once, beside the question who is signed in", async () => {
  for (const path of ["/", "/dashboard", "/sign-in"]) {
    const page = await openPage(browser, system);
    const asked = [];
    page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
    const figures = page.waitForRequest(/\/api\/dashboard\/home/);
    await page.route(/\/api\/me$/, async (route) => (await figures, route.continue()));
    await page.goto(`${system.urls.ui}${path}#__session=${system.issuer.sign("user_admin")}`);
    await page.getByRole("heading", { name: "Last 24 hours" }).waitFor();
    assert.equal(asked.filter((call) => call === "GET /api/dashboard/home").length, 1, path);
    await page.getByRole("button", { name: "Refresh" }).click();
    await eventually(() => asked.filter((call) => call === "GET /api/dashboard/home").length === 2);
    assertNoProblems(page);
    await page.context().close();
  }
});

test("the first page shows the API's figures and what needs attention", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/dashboard");
  await settle(page);
  const home = await system.call("admin", "GET", "/api/dashboard/home");
  const tile = (name) =>
    page.locator(".tm-tile").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) });
  const errors =
    home.total.client_errors + home.total.upstream_errors + home.total.timeouts + home.total.gateway_errors;
  assert.equal(errors, 2);
  assert.match(await tile("Calls").innerText(), new RegExp(`\\n${home.total.calls}\\b`));
  assert.match(await tile("Error rate").innerText(), /3\.4%[^]*of 59 let through · 1 denied or over limit/);
  assert.match(await tile("Spend").innerText(), /US\$0\.00|\$0\.00/);
  assert.match(await tile("p95").innerText(), /~/);
  const attention = page.getByRole("region", { name: /^Needs attention/ });
  const line = attention.getByRole("listitem").filter({ hasText: "“Digest” expires in 5 days" });
  await line.getByRole("link", { name: "Extend" }).click();
  await page.getByRole("heading", { name: "Digest", level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("listitem").filter({ hasText: "created Workflow 54" }).waitFor();
  await page.getByRole("table", { name: "Most errors" }).getByRole("link", { name: "/api/status" }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("the explorer keeps everything in the address, sorts, narrows, and hands its filter to the calls", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await settle(page);
  await page.getByRole("combobox", { name: "Group by" }).selectOption("token");
  await page.getByRole("combobox", { name: "Metric" }).selectOption("errors");
  await page.getByLabel("Compare with the previous period").check();
  const rows = page.getByRole("table", { name: "Errors" }).locator("tbody tr");
  await eventually(async () => (await rows.count()) === 50, 10_000, "fifty groups");
  await page.getByText("1–50 of 56", { exact: true }).waitFor();
  assert.match(await rows.first().innerText(), /^Digest/);
  // It moves the others when it arrives.
  await page.getByRole("columnheader", { name: "Change", exact: true }).waitFor();
  const byName = page.getByRole("columnheader", { name: "Token", exact: true });
  await byName.getByRole("button").click();
  await page.waitForURL(/sort=name&order=ascending/);
  assert.equal(await byName.getAttribute("aria-sort"), "ascending");
  assert.match(await rows.nth(1).innerText(), /^Workflow 0/);
  await byName.getByRole("button").click();
  await page.waitForURL(/sort=name&order=descending/);
  await eventually(async () => /^Workflow/.test(await rows.first().innerText()), 5_000, "descending");
  const address = Object.fromEntries(new URL(page.url()).searchParams);
  assert.deepEqual(address, {
    by: "token",
    metric: "errors",
    compare: "previous",
    sort: "name",
    order: "descending",
  });
  const first = await rows.first().innerText();
  await page.reload();
  await settle(page);
  assert.equal(await rows.first().innerText(), first);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download CSV" }).click();
  const file = readFileSync(await (await download).path(), "utf8")
    .trim()
    .split("\r\n");
  assert.equal(file.length, 51);
  assert.match(file[1], new RegExp(`^Digest,${token.id},5,2,1,1,0,0,1,0,0,`));
  await page.goto(`${system.urls.ui}/usage?by=token`);
  await page.getByRole("link", { name: "Digest" }).click();
  await page.getByRole("link", { name: "/api/status" }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("token"), token.id);
  await page.getByRole("link", { name: "View calls" }).click();
  await page.getByRole("heading", { name: "Calls", level: 1 }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("token"), token.id);
  const calls = page.getByRole("table", { name: "Recent calls" }).locator("tbody tr");
  await eventually(async () => (await calls.count()) === 5, 10_000, "the token's calls");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await eventually(async () => (await calls.count()) > 5, 10_000, "everybody's calls");
  assertNoProblems(page);
  await page.context().close();
});

test("a drag over a chart narrows the time, and so do the fields; a saved view brings it back", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage?by=route");
  await settle(page);
  const hours = page.locator("tm-chart").first();
  const box = await hours.boundingBox();
  const [left, right, y] = [box.x + box.width * 0.6, box.x + box.width - 20, box.y + 60];
  await page.mouse.move(left, y);
  await page.mouse.down();
  await page.mouse.move((left + right) / 2, y);
  assert.equal(await page.locator(".tm-chart__mark").count(), 1);
  await page.mouse.move(right, y, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL((url) => url.searchParams.get("range") === "custom");
  await settle(page);
  const address = new URL(page.url()).searchParams;
  const minute = (name) => Date.parse(`${address.get(name)}+08:00`);
  const width = minute("to") + 60_000 - minute("from");
  assert.ok(
    width > 6 * 3_600_000 && width < 12 * 3_600_000,
    `${width / 3_600_000} hours, in the reader's zone`,
  );
  assert.equal(address.get("by"), "route", "the other filters stay");
  assert.equal(await page.getByLabel("From", { exact: true }).inputValue(), address.get("from"));
  // What the pointer does, the keyboard does with the same fields.
  await page.getByLabel("To (inclusive)").fill(address.get("from").replace(/\d\d$/, "59"));
  await page.waitForURL((url) => url.searchParams.get("to") !== address.get("to"));
  const narrowed = new URL(page.url()).search;
  await page.getByRole("button", { name: "Saved views" }).click();
  await page.getByText("No views yet.").waitFor();
  await page.getByRole("textbox", { name: "Name" }).fill("One hour");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "One hour", exact: true }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.goto(`${system.urls.ui}/calls?status=4xx`);
  await page.getByRole("button", { name: "Saved views" }).click();
  await page.getByText("No views yet.").waitFor();
  await page.goto(`${system.urls.ui}/usage`);
  await page.getByRole("button", { name: "Saved views" }).click();
  await page.getByRole("button", { name: "One hour", exact: true }).click();
  await page.waitForURL((url) => url.searchParams.get("by") === "route");
  const entries = (search) => Object.fromEntries(new URLSearchParams(search));
  assert.deepEqual(entries(new URL(page.url()).search), entries(narrowed));
  await page.getByRole("button", { name: "Saved views" }).click();
  await page.getByRole("button", { name: "Delete the view One hour" }).click();
  await page.getByText("No views yet.").waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("every hour is in the chart, and an hour that is not over is marked", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await settle(page);
  const [calls, latency] = await page
    .locator("tm-chart")
    .evaluateAll((charts) => charts.map((chart) => JSON.parse(chart.getAttribute("options"))));
  assert.ok(calls.xAxis.data.length >= 24, `${calls.xAxis.data.length} hours`);
  assert.equal(calls.series[0].data[0], 0, "no calls are zero");
  assert.ok(calls.series[0].data.at(-1).itemStyle.opacity < 1);
  assert.equal(latency.series[0].data[0], null, "the latency of no calls is unknown");
  const groups = await page
    .locator("tm-chart")
    .evaluateAll((charts) => charts.map((c) => c.getAttribute("group")));
  assert.deepEqual(groups, ["usage", "usage"], "one crosshair");
  await page.context().close();
});

test("on a phone the explorer is at most 6,000 px tall, with fifty groups", async () => {
  const page = await openPage(browser, system, { width: 400, height: 800 });
  await signIn(page, system, "admin", "/usage?by=token&compare=previous");
  await settle(page);
  assert.equal(await page.locator("tbody tr").count(), 50);
  const height = await page.evaluate(() => document.querySelector("main").scrollHeight);
  assert.ok(height <= 6_000, `${height} px`);
  console.log(`the explorer at 400 px: ${height} px`);
  await page.goto(`${system.urls.ui}/tokens`);
  await settle(page);
  const tall = await page.evaluate(() => document.querySelector("main").scrollHeight);
  assert.ok(tall <= 6_000, `tokens: ${tall} px`);
  await page.context().close();
});

test("prices are set, changed and removed; a viewer only reads them", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/models");
  await page.getByRole("button", { name: "Add price" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel(/^Model/).fill("gpt-test");
  await form.getByLabel(/^Input/).fill("2.5");
  await form.getByLabel(/^Output/).fill("much");
  await form.getByRole("button", { name: "Save" }).click();
  await form
    .getByLabel(/^Output/)
    .and(page.locator("[aria-invalid=true]"))
    .waitFor();
  await form.getByLabel(/^Output/).fill("10");
  await form.getByRole("button", { name: "Save" }).click();
  const row = page.getByRole("row").filter({ hasText: "gpt-test" });
  await row.waitFor();
  assert.match(await row.innerText(), /\$2\.50[^]*\$10\.00[^]*As input/);
  await row.getByRole("button", { name: /^Edit/ }).click();
  await form.getByLabel("Cached input").fill("0.000001");
  await form.getByRole("button", { name: "Save" }).click();
  await eventually(async () => /\$0\.000001/.test(await row.innerText()), 5_000, "the new price");
  const { items } = await system.call("admin", "GET", "/api/prices");
  assert.deepEqual(items.find(({ model }) => model === "gpt-test").price, {
    prompt: 2_500_000,
    completion: 10_000_000,
    cached: 1,
  });
  await row.getByRole("button", { name: /^Remove/ }).click();
  await form.getByRole("button", { name: "Remove" }).click();
  await eventually(async () => (await row.count()) === 0, 5_000, "no price");
  assertNoProblems(page);
  await page.context().close();
  const viewer = await openPage(browser, system);
  await signIn(viewer, system, "viewer", "/models");
  await settle(viewer);
  assert.equal(await viewer.getByRole("button", { name: "Add price" }).count(), 0);
  await viewer.context().close();
});
