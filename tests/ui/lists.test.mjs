// Lists, searches, figures and notifications: what they show is true, stays in the address, and tells no secret.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
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
} from "../support/ui.mjs";

useUi(async () => {
  await system.addRoute("Echo", "/api/demo", "/echo");
  await system.addRoute("Echo AI", "/api/my-openai", "/v1", {
    tags: ["ai"],
    settings: { ai: { provider: "openai" } },
  });
});

const makeToken = (name, more = {}) =>
  system.call("manager", "POST", "/api/tokens", {
    name,
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 90,
    ...more,
  });
const call = (token, path = "/api/demo/hello", init = {}) =>
  fetch(system.urls.gateway + path, { ...init, headers: { "x-api-key": token } });

test("the page of a list is in the address: it survives reload and Back, and begins at its top", async () => {
  for (let i = 0; i < 61; i++) await makeToken(`Paged ${String(i).padStart(2, "0")}`);
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/tokens?search=Paged&sort=name");
  await page.getByText("1–50 of 61", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("51–61 of 61", { exact: true }).waitFor();
  assert.ok(
    await page.evaluate(() => document.querySelector("tbody tr").getBoundingClientRect().top > 0),
    "the first row is in view",
  );
  await page.reload();
  await page.getByText("51–61 of 61", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Paged 60" }).click();
  await page.getByRole("heading", { name: "Paged 60", level: 1 }).waitFor();
  await page.goBack();
  await page.getByText("51–61 of 61", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Paged 60" }).waitFor();
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByText("1–50 of 61", { exact: true }).waitFor();
  assert.ok(!page.url().includes("pages="));
  await page.getByRole("searchbox", { name: /^Search by name/ }).fill("Paged 0");
  await page.getByRole("link", { name: "Paged 00" }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("a leaked secret finds its token by its hash: it is in no URL, request or log", async () => {
  const { id, token } = await makeToken("Leaked");
  const page = await openPage(browser, system);
  const sent = [];
  page.on("request", (request) => sent.push(`${request.url()} ${request.postData() ?? ""}`));
  page.on("console", (message) => sent.push(message.text()));
  await signIn(page, system, "manager", "/tokens");
  await page.getByRole("searchbox", { name: /^Search by name/ }).fill(token);
  await page.getByText("This secret belongs to").waitFor();
  assert.ok(!page.url().includes(token));
  await page.getByRole("link", { name: "Revoke", exact: true }).click();
  await page.getByRole("dialog").getByRole("heading", { name: "Revoke “Leaked”" }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("Revoked", { exact: true }).waitFor();
  assert.match(page.url(), new RegExp(`/tokens/${id}`));
  assert.deepEqual(
    sent.filter((text) => text.includes(token) || text.includes(encodeURIComponent(token))),
    [],
  );
  // What is shown of a secret, and an id, find their token as text.
  const other = await makeToken("By hint");
  await page.goto(`${system.urls.ui}/tokens`);
  for (const text of [other.token.slice(0, 12), other.id]) {
    await page.getByRole("searchbox", { name: /^Search by name/ }).fill(text);
    await page.getByText("1–", { exact: false }).count();
    await eventually(
      async () => (await page.getByRole("row").count()) === 2,
      10_000,
      `only one row for ${text}`,
    );
    await page.getByRole("link", { name: "By hint" }).waitFor();
  }
  const hidden = await system.call("developer", "POST", "/api/tokens/find", { hash: "0".repeat(64) });
  assert.deepEqual(hidden, { token: null });
  await page.context().close();
});

test("the tester says what the limits decide, and the server says the same", async () => {
  const { id, token } = await makeToken("Tight", { limits: { calls_per_day: 2 } });
  await eventually(async () => (await call(token)).status === 200, 40_000, "a call");
  await call(token);
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${id}`);
  await page.getByLabel("Path", { exact: true }).fill("/api/demo/x");
  await page.getByText("Denied", { exact: true }).waitFor();
  await page.getByText(/^2 used up, resets in/).waitFor();
  await page.getByText(/respond 429/).waitFor();
  await page.getByRole("button", { name: "Check with the server" }).click();
  await page.getByText("The server denies it.").waitFor();
  await page.getByText("Server agrees.").waitFor();
  const said = await system.call("manager", "POST", `/api/tokens/${id}/explain`, {
    method: "GET",
    path: "/api/demo/x",
  });
  assert.deepEqual([said.allowed, said.status, said.limited], [false, 429, ["calls-per-day"]]);
  assert.equal((await call(token)).status, 429, "as the gateway does");
  await page.context().close();
});

test("the filter of calls is in the address, and outcomes are told in words", async () => {
  const { id, token } = await makeToken("Filtered");
  await eventually(async () => (await call(token)).status === 200, 40_000, "a call");
  await call(token, "/api/my-openai/models");
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/calls?token=${id}`);
  await eventually(
    async () => (await page.reload(), await settle(page), (await page.getByText("Not in scope").count()) > 1),
    20_000,
    "the refused call",
  );
  await page.getByRole("combobox", { name: "Outcome" }).selectOption({ label: "Not in scope" });
  await page.getByRole("button", { name: "Filters", exact: true }).click();
  await page.getByRole("searchbox", { name: "Path begins with" }).fill("/api/my");
  const rows = page.getByRole("table", { name: "Recent calls" }).getByRole("row");
  await eventually(async () => (await rows.count()) === 2, 10_000, "one call");
  assert.match(page.url(), /outcome=denied-scope/);
  await page.reload();
  await settle(page);
  assert.equal(await page.getByRole("combobox", { name: "Outcome" }).inputValue(), "denied-scope");
  await eventually(async () => (await rows.count()) === 2, 10_000, "one call after the reload");
  await page.context().close();
});

test("five hundred scopes are found by typing", async () => {
  for (let i = 0; i < 70; i++)
    await system.addRoute(`Service ${i}`, `/api/service-${i}`, "/echo", {
      tags: i === 42 ? ["special"] : [],
    });
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const form = page.getByRole("dialog");
  await form.getByText(/^\d+ more: type to narrow the list\.$/).waitFor();
  await form.getByRole("searchbox", { name: "Find by name, path or tag" }).fill("special");
  await form.getByLabel("service-42", { exact: true }).check();
  assert.equal(await form.getByRole("checkbox").count(), 4, "all routes, the found one, faults, deriving");
  await page.context().close();
});

test("Copy cURL of a route is a call that works: the vendor's, or the last that did", async () => {
  const { token } = await makeToken("Snippets", { scopes: ["*"] });
  await eventually(async () => (await call(token, "/api/demo/deep/path")).status === 200, 40_000, "a call");
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes?search=Echo");
  const command = await copied(page, page.getByRole("button", { name: "Copy cURL: Echo AI" }));
  assert.match(command, /^curl -X POST '[^']+\/api\/my-openai\/chat\/completions'/);
  const run = (command) =>
    promisify(execFile)("bash", ["-c", `${command} -sS -o /dev/null -w '%{http_code}'`], {
      env: { ...process.env, TOKEN: token },
    });
  assert.equal((await run(command)).stdout, "200");
  await eventually(
    async () => {
      const button = page.getByRole("button", { name: "Copy cURL: Echo", exact: true });
      return /\/api\/demo\/deep\/path'/.test(await copied(page, button));
    },
    20_000,
    "the last good call",
  );
  await page.context().close();
});

test("the bell shows the gravest first, expiries in one line, the true number, and can be told to be quiet", async () => {
  const tokens = [];
  for (let i = 0; i < 25; i++) tokens.push(await makeToken(`Ends ${i}`, { expires_days: 3 }));
  const notes = async () => (await system.call("manager", "GET", "/api/notifications?limit=200")).items;
  await system.cron();
  await eventually(async () => (await notes()).length >= 25, 20_000, "the notifications");
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/usage");
  const count = (await notes()).length;
  await page.getByRole("button", { name: `Notifications: ${count}` }).click();
  await page.getByText(/^\d+ tokens expire within 14 days$/).click();
  await page.getByRole("button", { name: /^Dismiss: “Ends 0”/ }).click();
  await page.getByRole("button", { name: `Notifications: ${count - 1}` }).waitFor();
  await page.getByRole("button", { name: /^Hide for 24 hours: “Ends 1”/ }).click();
  await page.getByRole("button", { name: `Notifications: ${count - 2}` }).waitFor();
  assert.equal((await notes()).length, count - 2);
  const others = (await system.call("admin", "GET", "/api/notifications?limit=200")).items;
  assert.ok(
    others.some((note) => note.subject === tokens[0].id),
    "others still see it",
  );
  await page.context().close();
});
