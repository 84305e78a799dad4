// The panel that shows which recent calls a change would refuse, in both languages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";
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

let token;
let routes;
/** A folder for pictures of each dialog, if somebody wants to look at them. */
const PICTURES = process.env.PICTURES;
useUi(async () => {
  routes = {
    demo: await system.addRoute("Echo", "/api/demo", "/echo"),
    status: await system.addRoute("Status", "/api/status", "/status"),
  };
  token = await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["demo", "status"],
    expires_days: 10,
  });
  for (const where of ["demo/a", "demo/b", "demo/b", "status/200", "status/200", "status/404"])
    await (
      await fetch(`${system.urls.gateway}/api/${where}`, {
        headers: { "x-api-key": token.token, "user-agent": "n8n/1.100" },
      })
    ).text();
  // The design allows ten seconds from a call to the reports.
  for (let looked_at = 0; looked_at < 6;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    ({ looked_at } = await system.call("manager", "DELETE", `/api/tokens/${token.id}?dry_run=true`));
  }
});

for (const [theme, language] of [
  ["light", "en"],
  ["dark", "zh-Hant"],
]) {
  test(`each dialog names the calls that would break, ${language}`, { timeout: 240_000 }, async () => {
    const texts = JSON.parse(readFileSync(path.join(root, `admin-ui/i18n/${language}.json`), "utf8"));
    const page = await openPage(browser, system, { theme, language });
    await signIn(page, system, "admin", "/dashboard");
    const dialog = page.getByRole("dialog");
    const panel = dialog.getByRole("region", { name: texts["trial.title"] });
    const button = (within, key) => within.getByRole("button", { name: texts[key], exact: true }).first();
    const refused = (count) =>
      panel.getByText(texts[count === 1 ? "trial.refused-one" : "trial.refused"].replace("{count}", count));
    const open = async (where, ...keys) => {
      await page.goto(system.urls.ui + where);
      await settle(page);
      for (const key of keys) await button(page, key).click();
      await dialog.waitFor();
    };
    const look = async (name) => {
      await panel.scrollIntoViewIfNeeded();
      assert.deepEqual(await violations(page), [], name);
      if (PICTURES) await page.screenshot({ path: path.join(PICTURES, `${name}-${language}.png`) });
    };

    await open(`/tokens/${token.id}`, "app.more", "tokens.revoke");
    await refused(6).waitFor();
    const rows = panel.getByRole("table", { name: texts["trial.workflows"] }).getByRole("row");
    assert.equal(await rows.count(), 5, "head and four workflows");
    assert.match(
      await rows.nth(1).innerText(),
      /GET \/api\/(demo\/b|status\/200)[\s\S]*Digest[\s\S]*n8n\/1.100[\s\S]*2/,
    );
    await look("revoke");

    await open(`/tokens/${token.id}`, "app.more", "tokens.disable");
    await refused(6).waitFor();
    await look("disable");

    await open(`/tokens/${token.id}`, "tokens.edit");
    assert.equal(await panel.count(), 0, "nothing has been changed");
    await dialog.getByRole("textbox", { name: texts["token.ip-allow"] }).fill("198.51.100.0/24");
    await refused(6).waitFor();
    await look("edit");
    await dialog.getByRole("textbox", { name: texts["token.ip-allow"] }).fill("");
    await panel.waitFor({ state: "detached" });
    await dialog.getByText(texts["limit.title"], { exact: true }).click();
    await dialog.getByLabel(texts["limit.calls-per-day"]).fill("4");
    await refused(2).waitFor();
    await panel.getByText(texts["trial.untold-earlier-use"]).waitFor();
    await look("edit-limits");
    await dialog.getByLabel(texts["limit.calls-per-day"]).fill("6");
    await panel.getByText(texts["trial.safe"]).waitFor();

    await open(`/routes/${routes.demo.id}`, "routes.delete");
    await refused(3).waitFor();
    await look("delete-route");

    await open(`/routes/${routes.status.id}`, "routes.edit");
    await dialog.getByRole("textbox", { name: texts["route.methods"] }).fill("POST");
    await refused(3).waitFor();
    await look("edit-route");

    await open("/teams/automation", "teams.edit");
    await dialog.getByLabel(texts["team.bound"]).check();
    await refused(6).waitFor();
    await look("team");
    assertNoProblems(page);
    await page.context().close();
  });
}

test("a dry run that fails keeps nobody from saving", { timeout: 120_000 }, async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${token.id}`);
  await page.getByRole("heading", { name: "Digest" }).waitFor();
  let isAway = true;
  await page.route(/dry_run=true/, (call) =>
    isAway ? call.fulfill({ status: 503, body: "{}" }) : call.continue(),
  );
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Limits", { exact: true }).click();
  await dialog.getByLabel("Calls per day").fill("600");
  await dialog.getByText("This could not be tried on recent calls.").waitFor();
  assert.deepEqual(await violations(page), []);
  isAway = false;
  await dialog.getByRole("button", { name: "Try again" }).click();
  await dialog.getByText("No call of the last 30 days would be refused by this change").waitFor();
  isAway = true;
  await dialog.getByRole("textbox", { name: "Name" }).fill("Digest 2");
  await dialog.getByText("This could not be tried on recent calls.").waitFor();
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "Digest 2" }).waitFor();
  await page.context().close();
});
