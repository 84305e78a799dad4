// Every dialog by axe, in both themes and languages.
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

let route;
let token;
useUi(async () => {
  route = await system.addRoute("Echo", "/api/demo", "/echo", {
    credential: { kind: "bearer", token: "vendor-key" },
  });
  token = await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 10,
  });
  await system.call("admin", "POST", "/api/teams", { id: "empty", name: "Empty" });
});

for (const [theme, language] of [
  ["light", "en"],
  ["dark", "zh-Hant"],
]) {
  test(`axe finds nothing in any dialog, ${theme}, ${language}`, { timeout: 240_000 }, async () => {
    const texts = JSON.parse(readFileSync(path.join(root, `admin-ui/i18n/${language}.json`), "utf8"));
    const page = await openPage(browser, system, { theme, language });
    await signIn(page, system, "admin", "/dashboard");
    const dialog = page.getByRole("dialog");
    const button = (within, key) => within.getByRole("button", { name: texts[key], exact: true }).first();
    const check = async (name) => {
      await dialog.waitFor();
      await dialog.locator(".tm-loading").first().waitFor({ state: "detached" });
      assert.deepEqual(await violations(page), [], name);
    };
    const open = async (where, ...keys) => {
      await page.goto(system.urls.ui + where);
      await settle(page);
      for (const key of keys) await button(page, key).click();
      await check(`${where}: ${keys.at(-1)}`);
    };
    await open("/tokens", "tokens.create");
    for (const keys of [
      ["tokens.edit"],
      ["app.more", "tokens.extend"],
      ["app.more", "tokens.revoke"],
      ["tokens.rotate"],
    ])
      await open(`/tokens/${token.id}`, ...keys);
    await button(dialog, "tokens.rotate").click();
    await page.locator("[data-secret]").waitFor();
    await check("the new token");
    await open("/keys", "keys.create");
    await dialog.getByLabel(texts["token.name"]).fill(`Key ${theme}`);
    await dialog.getByRole("combobox").first().selectOption("VIEWER");
    await button(dialog, "keys.create").click();
    await page.locator("[data-secret]").waitFor();
    await check("the new API key");
    await open("/routes", "routes.create");
    await dialog.getByRole("button", { name: texts["routes.create-and-test"] }).click();
    await dialog.locator("[aria-invalid=true]").first().waitFor();
    await check("a form with errors");
    await open(`/routes/${route.id}`, "routes.edit");
    await open(`/routes/${route.id}`, "routes.delete");
    await open("/teams", "teams.create");
    await open("/teams/empty", "teams.edit");
    await open("/teams/empty", "teams.delete");
    await page.goto(`${system.urls.ui}/users`);
    await settle(page);
    await page.getByRole("button", { name: new RegExp(`^${texts["users.edit-roles"]} · Nick`) }).click();
    await check("roles");
    await open("/users", "users.invite");
    await dialog.getByLabel(texts["invitation.address"]).fill(`${theme}@example.test`);
    await dialog.getByRole("combobox").first().selectOption("VIEWER");
    await button(dialog, "users.invite").click();
    await dialog.getByRole("button", { name: texts["invitation.copy-link"] }).waitFor();
    await check("the invitation's link");
    assertNoProblems(page);
    await page.context().close();
  });
}
