// Channels for alerts, in a browser against the running system and receivers of each kind.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BOT, startReceivers } from "../support/receivers.mjs";
import { browser, openPage, signIn, system, useUi, violations } from "../support/ui.mjs";

const receivers = await startReceivers();
useUi(undefined, { apiVars: { TELEGRAM_API_URL: receivers.url } });
after(() => receivers.close());

const dialog = (page) => page.getByRole("dialog");

test("a channel is made, tried out, changed and deleted, and its deliveries are shown", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/channels");
  await page.getByText("There are no channels yet").waitFor();
  await page.getByRole("button", { name: "Create channel" }).first().click();
  const form = dialog(page);
  await form.getByRole("textbox", { name: "Name" }).fill("Night shift");
  await form.getByRole("textbox", { name: "Address" }).fill("ftp://nowhere");
  await form.getByRole("button", { name: "Generate a secret" }).click();
  assert.match(await form.getByLabel("Signing secret").first().inputValue(), /^whsec_.{44}$/);
  await form.getByRole("button", { name: "Create channel" }).click();
  await form.getByText("must begin with https://").waitFor();
  assert.deepEqual(await violations(page), []);
  await form.getByLabel("Kind").selectOption("telegram");
  await form.getByLabel("Bot token").fill(BOT);
  await form.getByLabel("Chat ID").fill("-100123");
  await form.getByLabel("A database is nearly full").uncheck();
  await form.getByLabel("Budget percentages").fill("90 %, 100 %");
  await form.getByRole("button", { name: "Create channel" }).click();
  await page.getByText("The channel was saved.").waitFor();
  const [made] = (await system.call("admin", "GET", "/api/channels")).items;
  assert.deepEqual(
    [made.kind, made.address, made.thresholds, made.events.length],
    ["telegram", "-100123", [90, 100], 11],
  );

  await page.getByRole("button", { name: "Send test Night shift" }).click();
  await page.getByText("The test has arrived.").waitFor();
  receivers.answer = 403;
  await page.getByRole("button", { name: "Send test Night shift" }).click();
  await page.getByText(/The test failed: 403 not now/).waitFor();
  await page.getByRole("button", { name: "Deliveries Night shift" }).click();
  await dialog(page).getByText("not now: /bot…/sendMessage").waitFor();
  assert.equal(await dialog(page).getByText("Sent", { exact: true }).count(), 1);
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Edit Night shift" }).click();
  await system.call("admin", "PUT", `/api/channels/${made.id}`, { name: "Day shift" });
  await dialog(page).getByLabel("Sends alerts").uncheck();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await dialog(page).getByText("Day shift").first().waitFor();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Edit Day shift" }).waitFor();
  const { name, enabled, kind } = await system.call("admin", "GET", `/api/channels/${made.id}`);
  assert.deepEqual([name, enabled, kind], ["Day shift", false, "telegram"], "the receiver is kept");
  await page.getByRole("button", { name: "Delete channel Day shift" }).click();
  await dialog(page).getByRole("button", { name: "Delete channel" }).click();
  await page.getByText("There are no channels yet").waitFor();
  // The refusal of the first save, which was provoked.
  assert.deepEqual(
    page.problems.filter((problem) => !problem.includes("status of 412 ")),
    [],
  );
  assert.equal(page.problems.length, 1);
  await page.context().close();
});

test("a person who manages no channels finds none", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "developer", "/tokens");
  await page.getByRole("link", { name: "Tokens" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Alerts" }).count(), 0);
  await page.goto(`${system.urls.ui}/channels`);
  await page.getByRole("heading", { name: "Alerts" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Create channel" }).count(), 0);
  await page.context().close();
});
