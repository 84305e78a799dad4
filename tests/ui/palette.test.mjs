// The palette and the keys, in a browser against the running system.
import assert from "node:assert/strict";
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

useUi(async () => {
  await system.addRoute("Echo", "/api/demo", "/echo");
  await makeToken("Daily digest");
});

const makeToken = (name) =>
  system.call("admin", "POST", "/api/tokens", {
    name,
    team_id: "automation",
    scopes: ["*"],
    expires_days: 30,
  });
const call = (token) => fetch(`${system.urls.gateway}/api/demo/x`, { headers: { "x-api-key": token } });
const field = (page) => page.locator("[role=combobox]");
const heading = (page, name) => page.getByRole("heading", { name, level: 1, exact: true }).waitFor();
/** The option that Enter would choose. */
const active = (page) => page.locator('[role="option"][aria-selected="true"]');

/** Opens the palette and types. */
async function ask(page, text) {
  await page.keyboard.press("Control+k");
  await field(page).fill(text);
}

test("a leaked token is revoked with two keys, and the gateway's refusal is shown; it is in no URL, request or log before", async () => {
  const { id, token } = await makeToken("Leaked");
  await eventually(async () => (await call(token)).status === 200, 40_000, "a call");
  const page = await openPage(browser, system);
  const sent = [];
  let isRevoked = false;
  page.on("response", (response) => {
    if (response.request().method() === "DELETE" && response.url().endsWith(id)) isRevoked = true;
  });
  page.on("request", (request) => {
    const all = `${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`;
    if (all.includes(token)) sent.push({ url: request.url(), method: request.method(), isRevoked });
  });
  page.on("console", (message) => message.text().includes(token) && sent.push(message.text()));
  await signIn(page, system, "admin", "/dashboard");
  await settle(page);
  await ask(page, `X-API-Key: ${token}`);
  await page.getByText("This secret belongs to Leaked").waitFor();
  assert.equal(await active(page).textContent(), "Revoke now");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Revoke “Leaked”" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), "Revoke now");
  await page.keyboard.press("Enter");
  await page.getByText(/^Revoked\. The gateway refused it after \d+\.\d s\.$/).waitFor();
  assert.deepEqual(await violations(page), []);
  assert.equal((await call(token)).status, 401);
  assert.ok(sent.length > 0 && sent.every((one) => one.isRevoked), JSON.stringify(sent));
  assert.deepEqual(
    [...new Set(sent.map(({ url, method }) => `${method} ${url}`))],
    [`POST ${system.urls.gateway}/token`],
    "the dead secret goes to the gateway alone",
  );
  await page.getByRole("link", { name: "View token" }).click();
  await heading(page, "Leaked");
  // The browser complains about the refusal, which is the proof.
  const others = page.problems.filter((problem) => !problem.endsWith(`${system.urls.gateway}/token`));
  assert.deepEqual(others, []);
  await page.context().close();
});

test("the palette finds tokens, routes, teams, people, pages and actions, in both languages", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/system-health");
  const token = (await system.call("admin", "GET", "/api/tokens?search=Daily")).items[0];
  for (const [text, option, title] of [
    ["daily", /^Daily digest/, "Daily digest"],
    [token.hint.start, /^Daily digest/, "Daily digest"],
    [token.id, /^Daily digest/, "Daily digest"],
    ["/api/dem", /^Echo/, "Echo"],
    ["automa", /^Automation/, "Automation"],
    ["Vera", /^Vera Viewer/, "People"],
    ["audit", /^Audit log/, "Audit log"],
  ]) {
    await ask(page, text);
    await page.getByRole("option", { name: option }).first().waitFor();
    await eventually(async () => option.test(await active(page).textContent()), 5_000, text);
    await page.keyboard.press("Enter");
    await heading(page, title);
  }
  await ask(page, "revoke daily");
  await page.getByRole("option", { name: "Revoke “Daily digest”" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("heading", { name: "Revoke “Daily digest”" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await ask(page, "中文");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "搜尋或前往…" }).waitFor();
  await ask(page, "撤銷 daily");
  await page.getByRole("option", { name: "撤銷 “Daily digest”" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await field(page).fill("nothing at all");
  await page.getByText("找不到「nothing at all」").waitFor();
  await page.keyboard.press("Escape");
  assertNoProblems(page);
  await page.context().close();
});

test("keys lead to pages and forms, are listed, and steal no typing", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/system-health");
  for (const [keys, title] of [
    ["g t", "Tokens"],
    ["g r", "Routes"],
    ["g c", "Calls"],
    ["g h", "Home"],
  ]) {
    for (const key of keys.split(" ")) await page.keyboard.press(key);
    await heading(page, title);
  }
  await page.keyboard.press("?");
  const list = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await list.waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await list.waitFor({ state: "detached" });
  await page.keyboard.press("c");
  const form = page.getByRole("dialog", { name: "Create token" });
  await form.waitFor();
  await form.getByLabel("Name").fill("");
  await page.keyboard.type("g t c / ?");
  assert.equal(await form.getByLabel("Name").inputValue(), "g t c / ?");
  assert.ok(await form.isVisible());
  await page.keyboard.press("Control+k");
  assert.equal(await field(page).count(), 0, "a form that is open is not left");
  await page.context().close();

  const other = await openPage(browser, system);
  await signIn(other, system, "admin", "/routes");
  await other.keyboard.press("c");
  await other.getByRole("dialog", { name: "Create route" }).waitFor();
  await other.keyboard.press("Escape");
  await other.getByRole("dialog").waitFor({ state: "detached" });
  await other.keyboard.press("/");
  await field(other).waitFor();
  await other.keyboard.press("ArrowUp");
  await eventually(
    async () => (await active(other).textContent()) === "Keyboard shortcuts",
    5_000,
    "the last one",
  );
  assertNoProblems(other);
  await other.context().close();
});
