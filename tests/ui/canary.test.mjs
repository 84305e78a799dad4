// The system's health shows the times that the canary has measured, in both languages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, openPage, signIn, system, useUi } from "../support/ui.mjs";

useUi(
  async () => {
    await system.cron();
  },
  { apiVars: { CANARY_EVERY_MIN: "1" } },
);

for (const [language, title, measures] of /** @type {any[]} */ ([
  [
    "en",
    "How soon changes take effect",
    ["a new token works", "a revoked token is refused", "a call is in usage"],
  ],
  ["zh-Hant", "變更生效速度", ["新權杖可以使用", "撤銷的權杖被拒絕", "呼叫計入用量"]],
]))
  test(`the last run and its figures are shown (${language})`, async () => {
    const page = await openPage(browser, system, { language });
    await signIn(page, system, "admin");
    await page.goto(`${system.urls.ui}/system-health`);
    const card = page.locator(".pf-v6-c-card", { has: page.getByRole("heading", { name: title }) });
    for (const measure of measures) {
      const row = card.getByRole("row", { name: measure });
      await row.waitFor();
      assert.match(await row.innerText(), /\d+ ms[^]*\d+ ms · [\d,]+ ms · [\d,]+ ms[^]*\b(5|10),000 ms/);
    }
    await card.locator("tm-chart svg").first().waitFor();
    assert.deepEqual(page.problems, []);
  });

test("a person without a role in the core team sees no times", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "developer");
  await page.goto(`${system.urls.ui}/system-health`);
  await page.getByRole("heading", { name: "Dependencies" }).waitFor();
  assert.equal(await page.getByRole("columnheader", { name: "Last run" }).count(), 0);
});
