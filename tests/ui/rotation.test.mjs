// The progress of a rotation, and the end of its grace.
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
});

const dialog = (page) => page.getByRole("dialog");

test("a rotation shows which clients have moved, and its grace can be ended at once", async () => {
  const made = { name: "Moving", team_id: "automation", scopes: ["demo"], expires_days: 30 };
  const { id, token } = await system.call("manager", "POST", "/api/tokens", made);
  const as = (secret, agent, label) =>
    fetch(`${system.urls.gateway}/api/demo/hello`, {
      headers: { "x-api-key": secret, "user-agent": agent, ...(label && { "x-workflow": label }) },
    });
  for (const [agent, label] of [["n8n", "Digest"], ["curl/8"], ["nightly"]])
    assert.equal((await as(token, agent, label)).status, 200);
  const calls = async () =>
    (await system.call("admin", "GET", `/api/usage/events?token_id=${id}`)).items.length;
  await eventually(async () => (await calls()) === 3, 20_000, "the calls before the rotation");
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${id}`);
  await page.getByRole("heading", { name: "Moving" }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Rotation" }).count(), 0);
  const { token: fresh } = await system.call("manager", "POST", `/api/tokens/${id}/rotate`, {
    grace_hours: 24,
  });
  assert.equal((await as(token, "curl/8")).status, 200);
  await eventually(async () => (await as(fresh, "n8n", "Digest")).status === 200, 10_000, "the new secret");
  await eventually(async () => (await calls()) >= 5, 20_000, "the calls after the rotation");
  await page.reload();
  await page.getByText("1 of 3 clients use the new secret.").waitFor();
  const rows = page.getByRole("table", { name: "Rotation" }).getByRole("row");
  const shown = (await rows.allInnerTexts()).slice(1).map((row) => row.replace(/\s+/g, " "));
  const wanted = [
    /^curl\/8 .*Uses the old secret/,
    /^nightly .*No call since the rotation/,
    /^Digest Uses the new secret/,
  ];
  wanted.forEach((pattern, row) => assert.match(shown[row], pattern));
  await settle(page);
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "End old secret now" }).click();
  await dialog(page).getByText("curl/8").waitFor();
  assert.equal(await dialog(page).getByText("Digest").count(), 0, "it has moved");
  assert.deepEqual(await violations(page), []);
  await dialog(page).getByRole("button", { name: "End old secret now" }).click();
  await page.getByRole("heading", { name: "Rotation" }).waitFor({ state: "detached" });
  await eventually(
    async () => (await as(token, "curl/8")).status === 401,
    10_000,
    "the old one being refused",
  );
  assert.equal((await as(fresh, "n8n", "Digest")).status, 200);
  assertNoProblems(page);
  await page.context().close();
});
