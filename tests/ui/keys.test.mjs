// Admin API keys, in a browser against the running system.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { assertNoProblems, browser, openPage, signIn, system, useUi } from "../support/ui.mjs";

useUi();

const dialog = (page) => page.getByRole("dialog");
const shown = (page) => page.locator("[data-secret]").textContent();
const status = async (key) =>
  (await fetch(`${system.urls.api}/api/me`, { headers: { authorization: `Bearer ${key}` } })).status;

test("a key is made, shown once, rotated and revoked", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "developer", "/keys");
  await page.getByText("There are no API keys yet").waitFor();
  await page.getByRole("button", { name: "Create API key" }).click();
  // Nothing above one's own role is offered.
  const role = dialog(page).getByLabel("Role in Automation");
  assert.deepEqual(await role.locator("option").allTextContents(), ["No access", "Viewer", "Developer"]);
  await dialog(page).getByLabel("Name").fill("Nightly");
  await dialog(page).getByRole("button", { name: "Create API key" }).click();
  await dialog(page).getByRole("alert").first().waitFor();
  await role.selectOption("DEVELOPER");
  await dialog(page).getByLabel("Read-only").check();
  await dialog(page).getByRole("button", { name: "Create API key" }).click();
  await page.locator("[data-secret]").waitFor();
  const key = await shown(page);
  assert.equal(await status(key), 200);
  await page.keyboard.press("Escape");
  await page.getByText("Copy the API key first.").waitFor();
  await dialog(page).getByRole("button", { name: "Copy the API key" }).click();
  await dialog(page).getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("row", { name: /Nightly/ });
  await row.getByText("Automation · Developer").waitFor();
  await row.getByText("Read-only").waitFor();
  assert.ok(!(await page.content()).includes(key), "the key is still on the page");

  await page.getByRole("button", { name: "Rotate · Nightly" }).click();
  await dialog(page).getByLabel("Keep the current secret for").selectOption("0");
  await dialog(page).getByRole("button", { name: "Rotate" }).click();
  await page.locator("[data-secret]").waitFor();
  const second = await shown(page);
  assert.deepEqual([await status(key), await status(second)], [401, 200]);
  await dialog(page).getByRole("button", { name: "Copy the API key" }).click();
  await dialog(page).getByRole("button", { name: "Done" }).click();

  await page.getByRole("button", { name: "Revoke · Nightly" }).click();
  await dialog(page).getByRole("button", { name: "Revoke" }).click();
  await page.getByText("Revoked. Its next call is refused.").waitFor();
  assert.equal(await status(second), 401);
  await row.getByText("Revoked").waitFor();
  assert.equal(await row.getByRole("button").count(), 0);
  assertNoProblems(page);
  await page.context().close();
});

test("an admin sees everybody's keys and may end them, in either language", async () => {
  const made = await system.call("developer", "POST", "/api/keys", {
    name: "Dana's",
    roles: [{ team_id: "automation", role: "VIEWER" }],
  });
  assert.match(made.key, /^nak_/);
  const page = await openPage(browser, system, { language: "zh-Hant" });
  const zh = JSON.parse(readFileSync(path.join(root, "admin-ui/i18n/zh-Hant.json"), "utf8"));
  await signIn(page, system, "admin", "/keys");
  await page.getByRole("heading", { name: zh["keys.title"], level: 1 }).waitFor();
  const row = page.getByRole("row", { name: /Dana's/ });
  await row.getByText("Dana Developer").waitFor();
  assert.deepEqual(await row.getByRole("button").allTextContents(), [zh["tokens.revoke"]]);
  assertNoProblems(page);
  await page.context().close();
});
