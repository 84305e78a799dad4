// AI models: what each was called and cost, and which have no price.
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
  await system.call("admin", "PUT", "/api/prices/demo-1", {
    prompt: 9_000_000_000,
    completion: 90_000_000_000,
  });
  await system.call("admin", "POST", "/api/teams", { id: "quiet", name: "Quiet" });
  await system.addRoute("Echo", "/api/demo", "/echo");
  await system.addRoute("AI", "/api/ai", "/v1", { settings: { ai: { provider: "openai" } } });
  const tokenOf = (team_id) =>
    system.call("admin", "POST", "/api/tokens", { name: team_id, team_id, scopes: ["*"] });
  const tokens = { automation: await tokenOf("automation"), "core-team": await tokenOf("core-team") };
  const ask = async (team, model) => {
    const response = await fetch(`${system.urls.gateway}/api/ai/chat/completions`, {
      method: "POST",
      headers: { "x-api-key": tokens[team].token, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }),
    });
    assert.equal(response.status, 200, await response.text());
  };
  for (const model of ["demo-1", "demo-1", "demo-1", "demo-1-2026-01-31", "new-model"])
    await ask("automation", model);
  for (const model of ["new-model", "new-model"]) await ask("core-team", model);
  await fetch(`${system.urls.gateway}/api/demo`, { headers: { "x-api-key": tokens.automation.token } });
  await eventually(
    async () => (await system.call("admin", "GET", "/api/usage/explore")).total.calls === 8,
    30_000,
    "all calls in the report",
  );
});

/** Whether the page can be scrolled sideways. */
const isWider = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

test("usage is split by model, sorted, and narrowed to a model's teams and calls", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await settle(page);
  await page.getByRole("combobox", { name: "Group by" }).selectOption("model");
  await page.getByText("Only AI calls that were let through are counted here.").waitFor();
  const rows = page.getByRole("table").locator("tbody tr");
  await eventually(async () => (await rows.count()) === 3, 10_000, "three models");
  const first = async () => (await rows.first().innerText()).split(/\s*\t\s*|\n/)[0];
  const byCost = page.getByRole("columnheader", { name: "Spend", exact: true });
  await byCost.getByRole("button").press("Enter");
  await page.waitForURL(/sort=cost&order=descending/);
  await eventually(async () => (await first()) === "demo-1", 5_000, "the most expensive");
  await byCost.getByRole("button").press("Enter");
  await page.waitForURL(/sort=cost&order=ascending/);
  await eventually(async () => (await first()) === "new-model", 5_000, "the cheapest");
  assert.match(await rows.first().innerText(), /new-model\s+3\s+0\.0%/);
  assert.deepEqual(await violations(page), []);

  await page.getByRole("link", { name: "new-model" }).click();
  await page.waitForURL((url) => url.searchParams.get("model") === "new-model");
  assert.equal(new URL(page.url()).searchParams.get("by"), "team");
  await eventually(async () => (await rows.count()) === 2, 10_000, "two teams");
  await page.getByRole("link", { name: "View calls" }).click();
  await page.getByRole("heading", { name: "Calls", level: 1 }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("model"), "new-model");
  const calls = page.getByRole("table", { name: "Recent calls" }).locator("tbody tr");
  await eventually(async () => (await calls.count()) === 3, 10_000, "the model's calls");
  await page.goBack();
  await page.getByRole("button", { name: "Remove the filter new-model" }).click();
  await page.waitForURL((url) => !url.searchParams.has("model"));
  await page.goto(`${system.urls.ui}/usage?by=team&model=demo-1`);
  await settle(page);
  await page.getByRole("combobox", { name: "Group by" }).selectOption("token");
  await page.waitForURL((url) => !url.searchParams.has("model"));
  await page.goto(`${system.urls.ui}/usage?by=model&team=quiet`);
  await page.getByText("No AI calls in this period").waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("a member sees the calls of their team alone", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "viewer", "/usage?by=model&sort=name&order=ascending");
  await settle(page);
  const rows = page.getByRole("table").locator("tbody tr");
  await eventually(async () => (await rows.count()) === 3, 10_000, "three models");
  assert.match(await rows.nth(2).innerText(), /^new-model\s+1\s/);
  await page.goto(`${system.urls.ui}/models`);
  await settle(page);
  assert.match(await page.getByRole("row").filter({ hasText: "new-model" }).innerText(), /No price\s+1\s/);
  await page.context().close();
});

test("models without a price come first, each with its calls and spend of 30 days", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/models");
  await settle(page);
  const rows = page.getByRole("table", { name: "Models & prices" }).locator("tbody tr");
  assert.match(await rows.first().innerText(), /^new-model\s*No price\s+3\s+–\s/);
  const demo = rows.filter({ hasText: /^demo-1/ });
  // A release counts with the price that applies to it.
  assert.match(await demo.innerText(), /^demo-1\s+4\s+\$\d+\.\d\d\s+\$9,000\.00\s+\$90,000\.00/);
  assert.equal(await demo.count(), 1);
  await page.getByRole("button", { name: "Set price · new-model" }).press("Enter");
  const form = page.getByRole("dialog");
  await form.getByLabel(/^Input/).fill("1");
  await form.getByLabel(/^Output/).fill("2");
  await page.keyboard.press("Enter");
  await form.waitFor({ state: "detached" });
  const priced = rows.filter({ hasText: "new-model" });
  await eventually(async () => /3\s+\$0\S*\s+\$1\.00/.test(await priced.innerText()), 5_000, "its price");
  assert.deepEqual(await violations(page), []);
  assertNoProblems(page);
  await page.context().close();
});

test("on a phone and in Chinese both pages fit", async () => {
  const page = await openPage(browser, system, { width: 400, height: 800, language: "zh-Hant" });
  await signIn(page, system, "admin", "/usage?by=model&compare=previous");
  await settle(page);
  await page.getByText("此處只計算已放行的 AI 呼叫。").waitFor();
  assert.equal(await isWider(page), false, "usage");
  assert.deepEqual(await violations(page), []);
  await page.goto(`${system.urls.ui}/models`);
  await settle(page);
  await page.getByText("呼叫次數（30 天）").first().waitFor();
  assert.equal(await isWider(page), false, "models");
  assert.deepEqual(await violations(page), []);
  assertNoProblems(page);
  await page.context().close();
});
