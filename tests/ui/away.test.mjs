// A session that ends, an API that is down, slow or refuses, and files that have not arrived: each page says so, and goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  assertNoProblems,
  browser,
  endSession,
  firstLoad,
  openPage,
  settle,
  signIn,
  system,
  useUi,
} from "../support/ui.mjs";

useUi(async () => {
  await system.addRoute("Echo", "/api/demo", "/echo");
  await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 10,
  });
});

test("the session is not in the address, survives a reload and ends with sign-out", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "viewer", "/routes?search=echo");
  assert.match(
    page.url(),
    /\/routes\?search=echo$/,
    "back on the page that was asked for, without the token",
  );
  await page.reload();
  await page.getByRole("link", { name: "Echo" }).waitFor();
  await page.getByRole("button", { name: "Account of Vera Viewer" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), "{}");
  await page.context().close();
});

test("a session that has ended leads to sign-in and back", async () => {
  const page = await openPage(browser, system);
  await page.goto(
    `${system.urls.ui}/teams#__session=${system.issuer.sign("user_admin", { expiresIn: -60 })}`,
  );
  await page.getByText("Your session has ended.").waitFor();
  assert.ok(!page.url().includes("__session"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator('button[value="admin"]').click();
  await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();

  await endSession(page, system);
  await page.getByText("Your session has ended.").waitFor();
  assert.match(page.url(), /\/routes$/);
  await page.context().close();
});

test("a page says that the API is down, fails or refuses, with the request id, and offers to try again", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/models");
  await settle(page);
  const answer = (status, code) => (route) =>
    route.fulfill({
      status,
      contentType: "application/json",
      headers: { "access-control-allow-origin": system.urls.ui },
      body: JSON.stringify({ error: code, message: "Said so.", code, request_id: "req_seen" }),
    });
  for (const [handler, text, id] of [
    [(route) => route.abort(), "Can't reach the server", false],
    [answer(503, "store-unavailable"), "Something went wrong on our side", true],
    [answer(403, "forbidden"), "You don't have permission", true],
  ]) {
    await page.route(/\/api\/prices(\?|$)/, handler);
    await page.reload();
    await page.getByText(text, { exact: true }).waitFor();
    if (id) {
      await page.getByText("Details", { exact: true }).click();
      await page.getByText("req_seen").waitFor();
    }
    await page.unroute(/\/api\/prices(\?|$)/);
    if (text === "You don't have permission") {
      assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0, "it changes no role");
      await page.reload();
    } else {
      await page.getByRole("button", { name: "Try again" }).click();
    }
    await page.getByRole("table", { name: "Models & prices" }).waitFor();
  }
  await page.context().close();
});

test("a slow API shows as loading; an offline page says so, and recovers by itself", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await settle(page);
  /** @type {any} */
  let answer;
  const isAllowed = new Promise((resolve) => (answer = resolve));
  await page.route(/\/api\/tokens(\?|$)/, async (route) => {
    await isAllowed;
    await route.continue();
  });
  await page
    .getByRole("navigation", { name: "Main navigation" })
    .getByRole("link", { name: "Tokens", exact: true })
    .click();
  await page.locator("main .tm-loading").waitFor();
  assert.equal(await page.getByRole("link", { name: "Digest" }).count(), 0);
  answer();
  await page.getByRole("link", { name: "Digest" }).first().waitFor();
  assertNoProblems(page);

  await page.context().setOffline(true);
  await page
    .getByRole("navigation", { name: "Main navigation" })
    .getByRole("link", { name: "Teams & people", exact: true })
    .click();
  await page.getByText("Can't reach the server", { exact: true }).waitFor();
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
  await page.getByRole("link", { name: "Automation" }).first().waitFor();
  await page.context().close();
});

test("files with a hash in their name are cached indefinitely, the page and its configuration are not", async () => {
  const { files } = await firstLoad(browser, system);
  const life = async (name) => (await fetch(system.urls.ui + name)).headers.get("cache-control");
  const hashed = files.filter(({ name }) => /-[0-9a-f]{16}[./]/.test(name));
  assert.ok(hashed.length >= 5, "program, its glue, boot script and two style sheets");
  for (const { name } of hashed) assert.equal(await life(name), "public, max-age=31536000, immutable", name);
  for (const name of ["/", "/tokens"]) assert.ok(!/immutable/.test(await life(name)), name);
  assert.equal(await life("/config.json"), "no-store");
});

test("files that arrive as the page itself, as during a deployment, are fetched once more", async () => {
  const page = await openPage(browser, system);
  let answered = 0;
  await page.route(/_bg\.wasm$/, async (route) => {
    if (answered++ > 0) return route.continue();
    await route.fulfill({ status: 200, contentType: "text/html", body: "<!doctype html>" });
  });
  await page.goto(`${system.urls.ui}/sign-in`);
  await page.getByRole("heading", { name: "Sign in", level: 1 }).waitFor();
  await page.context().close();
});
