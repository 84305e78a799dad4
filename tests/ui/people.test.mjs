// Teams, roles and invitations, in a browser against the running system.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNoProblems, browser, openPage, signIn, system, useUi } from "../support/ui.mjs";

useUi();

const dialog = (page) => page.getByRole("dialog");

test("a team is made, gets a member, and is deleted once it is empty", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/teams");
  await page.getByRole("button", { name: "Create team" }).click();
  await dialog(page).getByLabel("Name").fill("Research");
  await dialog(page).getByLabel("ID").fill("research");
  await dialog(page).getByRole("button", { name: "Create team" }).click();
  await page.getByRole("link", { name: "Research" }).waitFor();

  await page.goto(`${system.urls.ui}/users`);
  await page.getByRole("button", { name: /Edit roles · Nick/ }).click();
  await dialog(page).getByLabel("Role in Research").selectOption("DEVELOPER");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByText("Research · Developer").waitFor();
  await page.goto(`${system.urls.ui}/teams/research`);
  await page.getByRole("table", { name: "Members" }).getByText("Nick Newcomer").waitFor();
  assert.equal(await page.getByRole("button", { name: "Delete" }).count(), 0, "not while somebody is in it");

  await page.goto(`${system.urls.ui}/users`);
  await page.getByRole("button", { name: /Edit roles · Nick/ }).click();
  await dialog(page).getByLabel("Role in Research").selectOption("");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByText("The roles were saved.").waitFor();
  await page.goto(`${system.urls.ui}/teams/research`);
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog(page).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
  await page.goto(`${system.urls.ui}/audit-logs?entity=user`);
  await page.getByRole("cell", { name: "Member removed" }).first().waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("one role in all teams at once", async () => {
  await system.call("admin", "POST", "/api/teams", { id: "web", name: "Web" });
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/users");
  await page.getByRole("button", { name: /Edit roles · Vera/ }).click();
  await dialog(page).getByLabel("Set in all teams").selectOption("DEVELOPER");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByText("Web · Developer").waitFor();
  const { items } = await system.call("admin", "GET", "/api/users?search=Vera");
  assert.deepEqual(items[0].memberships.map((m) => [m.team_id, m.role]).sort(), [
    ["automation", "DEVELOPER"],
    ["core-team", "DEVELOPER"],
    ["web", "DEVELOPER"],
  ]);
  await page.context().close();
});

/** Parity fault 7. */
test("a manager is offered no role above DEVELOPER and no other team", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/users");
  await page.getByRole("button", { name: /Edit roles · Dana/ }).click();
  const role = dialog(page).getByLabel("Role in Automation");
  assert.deepEqual(await role.locator("option").allTextContents(), ["No access", "Viewer", "Developer"]);
  assert.equal(await dialog(page).getByRole("combobox").count(), 1);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /Edit roles · Max/ }).click();
  assert.deepEqual(await dialog(page).getByLabel("Role in Automation").locator("option").allTextContents(), [
    "Manager",
  ]);
  assertNoProblems(page);
  await page.context().close();
});

test("an invitation is made, sent again and revoked", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/users");
  await page.getByRole("button", { name: "Invite" }).click();
  await dialog(page).getByLabel("Email address").fill("nobody");
  await dialog(page).getByLabel("Role in Automation").selectOption("VIEWER");
  await dialog(page).getByRole("button", { name: "Invite" }).click();
  await dialog(page).getByText("Enter an email address").waitFor();
  await dialog(page).getByLabel("Email address").fill("new@example.test");
  await dialog(page).getByRole("button", { name: "Invite" }).click();
  await dialog(page)
    .getByText(/Send this link yourself/)
    .waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  const row = page.getByRole("row").filter({ hasText: "new@example.test" });
  await row.getByText("Automation · Viewer").waitFor();
  await row.getByRole("button", { name: /^Send again/ }).click();
  await page.getByText("The invitation was sent again.").waitFor();
  await row.getByRole("button", { name: /^Revoke/ }).click();
  await dialog(page).getByRole("button", { name: "Revoke", exact: true }).click();
  await page.getByText("No pending invitations.").waitFor();
  assertNoProblems(page);
  await page.context().close();
});
