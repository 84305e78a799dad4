// The page of calls, and the whole of one call beside it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/harness.mjs";
import {
  assertNoProblems,
  browser,
  copied,
  openPage,
  settle,
  signIn,
  system,
  useUi,
  violations,
} from "../support/ui.mjs";

let token;
const call = async (path, headers = {}, method = "GET") => {
  const response = await fetch(system.urls.gateway + path, {
    method,
    headers: { "x-api-key": token.token, "user-agent": "n8n", ...headers },
  });
  await response.text();
  return response;
};
useUi(async () => {
  await system.addRoute("Echo", "/api/demo", "/echo");
  await system.addRoute("Status", "/api/status", "/status");
  await system.addRoute("Busy", "/api/demo/busy", "/status", { settings: { retry_within_s: 5 } });
  token = await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 30,
  });
  await eventually(async () => (await call("/api/demo/first")).status === 200, 40_000, "a call");
  for (let i = 0; i < 3; i++) await call(`/api/demo/${i}`, { "x-workflow": encodeURIComponent("每日報告") });
  await call("/api/status/503");
  const events = async () =>
    (await system.call("admin", "GET", "/api/usage/events?outcome=denied-scope")).items.length;
  await eventually(async () => (await events()) === 1, 30_000, "the calls being recorded");
});

const rows = (page) => page.getByRole("table", { name: "Recent calls" }).getByRole("row");
const dialog = (page) => page.getByRole("dialog", { name: "Call" });
const tokens = (page) => page.getByRole("listbox", { name: "Tokens" });

test("every filter is in the address, and a link brings it back", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/calls");
  await settle(page);
  assert.equal(await page.getByRole("searchbox", { name: "Workflow" }).count(), 0, "it is behind the button");
  await page.getByRole("button", { name: "Filters", exact: true }).press("Enter");
  await page.getByRole("searchbox", { name: "Workflow" }).fill("每日報告");
  await eventually(async () => (await rows(page).count()) === 4, 10_000, "three calls of the workflow");
  await page.getByRole("searchbox", { name: "Path contains" }).fill("mo/2");
  await eventually(async () => (await rows(page).count()) === 2, 10_000, "one call");
  await page.getByRole("combobox", { name: "Status" }).selectOption("2xx");
  await page.getByRole("combobox", { name: "Method" }).selectOption("GET");
  await page.getByRole("combobox", { name: "Token" }).fill("dig");
  await tokens(page)
    .getByRole("option", { name: /Digest/ })
    .click();
  await page.getByRole("combobox", { name: "Route" }).selectOption({ label: "/api/demo" });
  const address = new URL(page.url()).searchParams;
  for (const name of ["label", "contains", "status", "method", "token", "route"])
    assert.ok(address.get(name), `${name} in ${page.url()}`);
  await page.reload();
  await settle(page);
  await eventually(async () => (await rows(page).count()) === 2, 10_000, "one call after the reload");
  await eventually(
    async () => (await page.getByRole("combobox", { name: "Token" }).inputValue()) === "Digest",
    10_000,
    "the token's name",
  );
  // Filters that are hidden say so, and each can be removed.
  await page.getByRole("button", { name: "Remove the filter mo/2" }).click();
  await eventually(async () => (await rows(page).count()) === 4, 10_000, "without the part of the path");
  await page.getByRole("button", { name: "Filters (3)" }).click();
  assert.equal(await page.getByRole("searchbox", { name: "Workflow" }).inputValue(), "每日報告");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await eventually(async () => (await rows(page).count()) >= 6, 10_000, "all calls");
  await page.getByRole("combobox", { name: "Status" }).selectOption("404");
  await page.getByText("No matching calls.").waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("the filter of tokens finds them by typing, and a pasted secret by its hash alone", async () => {
  const page = await openPage(browser, system);
  const asked = [];
  page.on("request", (request) => asked.push(decodeURIComponent(request.url()) + (request.postData() ?? "")));
  await signIn(page, system, "manager", "/calls");
  await settle(page);
  assert.deepEqual(
    asked.filter((url) => url.includes("/api/tokens")),
    [],
    "no token is read before the field is used",
  );
  const field = page.getByRole("combobox", { name: "Token" });
  await field.press("ArrowDown");
  await tokens(page)
    .getByRole("option", { name: /Digest/ })
    .waitFor();
  assert.deepEqual(await violations(page), []);
  await field.press("Escape");
  await tokens(page).waitFor({ state: "detached" });
  await field.fill("no such token");
  await page.getByText("No token matches the filters").waitFor();
  await field.fill("igest");
  await tokens(page)
    .getByRole("option", { name: /Digest/ })
    .waitFor();
  await field.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("token") === token.id);
  await eventually(async () => (await field.inputValue()) === "Digest", 5_000, "its name");
  await field.press("ArrowDown");
  await tokens(page).getByRole("option", { name: "All tokens" }).click();
  await page.waitForURL((url) => !url.searchParams.has("token"));
  await field.fill(token.token);
  await tokens(page)
    .getByRole("option", { name: /Digest/ })
    .waitFor();
  await field.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("token") === token.id);
  assert.ok(!asked.some((text) => text.includes(token.token.slice(12))), "the secret was sent");
  assertNoProblems(page);
  await page.context().close();
});

test("a refused call tells why, and the scope that it names fixes it", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/calls?outcome=denied-scope");
  await page.getByRole("button", { name: /^Open the call of/ }).click();
  const drawer = dialog(page);
  await drawer.getByText("No scope of the token covered this call.").waitFor();
  await drawer.getByText("GET /api/status/503", { exact: true }).last().waitFor();
  await drawer.getByText(/would be refused now, too/).waitFor();
  await settle(page);
  assert.deepEqual(await violations(page), []);
  const button = drawer.getByRole("button", { name: "Copy the scope GET /api/status/503", exact: true });
  const scope = await copied(page, button);
  assert.equal(scope, "GET /api/status/503");
  const { version } = await system.call("manager", "GET", `/api/tokens/${token.id}`);
  assert.ok(version >= 1);
  await system.call("manager", "PUT", `/api/tokens/${token.id}`, { scopes: ["demo", scope] });
  await eventually(async () => (await call("/api/status/503")).status === 503, 40_000, "the scope in force");
  await page.reload();
  await drawer.getByText("The same call would be allowed now.").waitFor();
  await drawer.getByRole("link", { name: "Edit token" }).click();
  await page.getByRole("dialog", { name: "Edit" }).waitFor();
  await system.call("manager", "PUT", `/api/tokens/${token.id}`, { scopes: ["demo"] });
  assertNoProblems(page);
  await page.context().close();
});

test("the keyboard goes from call to call, and an open call can be linked", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/calls?status=2xx&label=每日報告");
  await eventually(async () => (await rows(page).count()) === 4, 10_000, "three calls");
  await page.keyboard.press("j");
  const drawer = dialog(page);
  const shown = async () => (await drawer.locator("code").first().textContent()).trim();
  await drawer.waitFor();
  const shows = (call, what) => eventually(async () => (await shown()) === call, 5_000, what);
  await shows("GET /api/demo/2", "the newest");
  await page.keyboard.press("ArrowDown");
  await shows("GET /api/demo/1", "the next call");
  await page.keyboard.press("k");
  await shows("GET /api/demo/2", "the call before");
  const link = page.url();
  assert.match(link, /open=\d+\./);
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  assert.doesNotMatch(page.url(), /open=/);
  // Without the filters, and from a list that does not hold it.
  const alone = new URL(link);
  alone.search = `?status=5xx&open=${new URL(link).searchParams.get("open")}`;
  await page.goto(alone.href);
  await drawer.getByText("每日報告").first().waitFor();
  await shows("GET /api/demo/2", "the linked call");
  const id = await copied(page, drawer.getByRole("button", { name: "Copy the request ID" }));
  const { items } = await system.call("admin", "GET", `/api/usage/events?request_id=${id}`);
  assert.deepEqual(
    items.map((one) => one.path),
    ["/api/demo/2"],
  );
  await drawer.getByText(/^curl '.*\/api\/demo\/2' -H "X-API-Key: \$TOKEN"/).waitFor();
  assert.equal((await drawer.innerText()).includes(token.token), false);
  assertNoProblems(page);
  await page.context().close();
});

test("a call that was sent again after a wait says how often", async () => {
  const id = `again-${Date.now()}`;
  assert.equal((await call("/api/demo/busy/503", { "x-request-id": id })).status, 503);
  const [sent] = await eventually(async () => {
    const { items } = await system.call("admin", "GET", `/api/usage/events?request_id=${id}`);
    return items.length > 0 && items;
  });
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/calls?status=404&open=${sent.at}.${sent.id}`);
  const drawer = dialog(page);
  await drawer.getByText("/api/demo/busy/503").first().waitFor();
  assert.match(await drawer.innerText(), /Retries\s+2/);
  assertNoProblems(page);
  await page.context().close();
});

test("nothing is wider than a phone", async () => {
  const page = await openPage(browser, system, { width: 400 });
  await signIn(page, system, "viewer", "/calls?status=2xx");
  await settle(page);
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  const filters = await page.getByRole("search", { name: "Filters" }).boundingBox();
  assert.ok(filters.height <= 200, `the filters take ${filters.height} px`);
  assert.ok((await width()) <= 400, `${await width()}`);
  await page
    .getByRole("button", { name: /^Open the call of/ })
    .first()
    .click();
  await dialog(page).waitFor();
  const box = await dialog(page).boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 400, JSON.stringify(box));
  assert.equal(
    await dialog(page).evaluate((node) => node.scrollWidth <= node.clientWidth + 1),
    true,
    "the drawer scrolls in one direction",
  );
  assertNoProblems(page);
  await page.context().close();
});

test("the dialog that revokes names the workflows of the last hour", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${token.id}?act=revoke`);
  await page.getByRole("dialog").getByText("1 workflow used this token in the last hour:").waitFor();
  await page.getByRole("dialog").getByText("每日報告").waitFor();
  assertNoProblems(page);
  await page.context().close();
});
