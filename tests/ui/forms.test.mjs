// What is typed in is never lost, what went wrong is in view, and the focus is where it is expected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNoProblems, browser, openPage, settle, signIn, system, useUi } from "../support/ui.mjs";

let route;
useUi(async () => {
  route = await system.addRoute("Echo", "/api/demo", "/echo");
  await system.call("admin", "POST", "/api/teams", { id: "ops", name: "Operations" });
});

const dialog = (page) => page.getByRole("dialog");
const makeToken = (name, more = {}) =>
  system.call("manager", "POST", "/api/tokens", {
    name,
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 30,
    ...more,
  });

/** Opens the form of something, with more in it than fits the screen. */
async function openEdit(page, where) {
  await page.goto(system.urls.ui + where);
  await settle(page);
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await dialog(page).getByLabel("Description").waitFor();
  await dialog(page).getByText("Limits", { exact: true }).first().click();
}

/** Fails unless the whole element can be seen. */
async function assertInView(page, locator) {
  await locator.waitFor();
  const box = await locator.boundingBox();
  const { height } = page.viewportSize();
  assert.ok(box.y >= 0 && box.y + box.height <= height, `${JSON.stringify(box)} of ${height}`);
  const isOnTop = await locator.evaluate((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  });
  assert.ok(isOnTop, "something else covers it");
}

const focused = (page) =>
  page.evaluate(() => {
    const element = /** @type {HTMLInputElement} */ (document.activeElement);
    return (
      element.labels?.[0]?.textContent ?? element.getAttribute("aria-label") ?? element.textContent.trim()
    );
  });

test("Escape, Cancel and ✕ ask before they throw typed text away, and give the focus back", async () => {
  const { id } = await makeToken("Kept");
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${id}`);
  for (const leave of [
    () => page.keyboard.press("Escape"),
    () => dialog(page).getByRole("button", { name: "Cancel" }).click(),
    () => dialog(page).getByRole("button", { name: "Close" }).click(),
  ]) {
    await openEdit(page, `/tokens/${id}`);
    await leave();
    await dialog(page).waitFor({ state: "detached" });
    assert.equal(await focused(page), "Edit", "nothing was typed, so nothing is asked");

    await openEdit(page, `/tokens/${id}`);
    const description = dialog(page).getByLabel("Description");
    await description.fill("A long description");
    await leave();
    await assertInView(page, dialog(page).getByText("Discard your changes?"));
    assert.equal(await focused(page), "Keep editing");
    await page.keyboard.press("Enter");
    assert.equal(await description.inputValue(), "A long description");
    await leave();
    await page.keyboard.press("Escape");
    assert.equal(await description.inputValue(), "A long description", "Escape keeps, however often");
    await page.keyboard.press("Escape");
    await dialog(page).getByRole("button", { name: "Discard", exact: true }).click();
    await dialog(page).waitFor({ state: "detached" });
    assert.equal(await focused(page), "Edit");
  }
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("button", { name: "Extend" }).click();
  await dialog(page).waitFor();
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await focused(page), "More actions", "the item of the menu is gone, its button is not");
  assertNoProblems(page);
  await page.context().close();
});

for (const [name, handler, text] of /** @type {any[][]} */ ([
  ["offline", (route) => route.abort(), "Can't reach the server"],
  [
    "500",
    (route) =>
      route.fulfill({
        status: 500,
        contentType: "application/json",
        headers: { "access-control-allow-origin": system.urls.ui },
        body: JSON.stringify({ error: "x", message: "x", code: "internal-error", request_id: "r" }),
      }),
    "Something went wrong on our side",
  ],
])) {
  test(`a save that fails says so beside its button and keeps what was typed: ${name}`, async () => {
    const { id } = await makeToken(`Failing ${name}`);
    const page = await openPage(browser, system);
    await signIn(page, system, "admin", "/usage");
    for (const where of [`/tokens/${id}`, `/routes/${route.id}`, "/teams/ops"]) {
      await openEdit(page, where).catch(() => {});
      await dialog(page).getByLabel("Description").fill(`Typed ${name}`);
      await page.route(/\/api\/(tokens|routes|teams)\//, handler);
      await dialog(page).getByRole("button", { name: "Save" }).click();
      const alert = dialog(page).getByRole("alert");
      await alert.getByText(text, { exact: true }).waitFor();
      await assertInView(page, alert.getByText(text, { exact: true }));
      assert.equal(await focused(page), "Save", "the focus stays on the button");
      assert.equal(await dialog(page).getByLabel("Description").inputValue(), `Typed ${name}`);
      await page.unroute(/\/api\/(tokens|routes|teams)\//);
      await dialog(page).getByRole("button", { name: "Save" }).click();
      await dialog(page).waitFor({ state: "detached" });
      await page.getByText(`Typed ${name}`).first().waitFor();
    }
    await page.context().close();
  });
}

test("a conflict shows both versions field by field, and saving again works", async () => {
  const { id } = await makeToken("Both", { description: "before" });
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  for (const [where, api] of [
    [`/tokens/${id}`, `/api/tokens/${id}`],
    [`/routes/${route.id}`, `/api/routes/${route.id}`],
    ["/teams/ops", "/api/teams/ops"],
  ]) {
    await openEdit(page, where).catch(() => {});
    await system.call("admin", "PUT", api, { name: "Their name", description: "theirs" });
    const form = dialog(page);
    await form.getByLabel("Description").fill("mine");
    await form.getByRole("button", { name: "Save" }).click();
    await assertInView(page, form.getByText("Someone else changed this"));
    assert.equal((await system.call("admin", "GET", api)).description, "theirs", "nothing is overwritten");
    assert.equal(
      await form.getByLabel("Name").first().inputValue(),
      "Their name",
      "theirs where I changed nothing",
    );
    assert.equal(await form.getByLabel("Description").inputValue(), "mine");
    const versions = form.getByRole("group", { name: "Description" });
    await versions.getByLabel(/^Theirs/).check();
    assert.equal(await form.getByLabel("Description").inputValue(), "theirs");
    await versions.getByLabel(/^Mine/).check();
    assert.equal(await form.getByLabel("Description").inputValue(), "mine");
    await form.getByRole("button", { name: "Save" }).click();
    await form.waitFor({ state: "detached" });
    const { name, description } = await system.call("admin", "GET", api);
    assert.deepEqual({ name, description }, { name: "Their name", description: "mine" });
    await page.getByRole("heading", { name: "Their name", level: 1 }).waitFor();
  }
  await page.context().close();
});

test("after a conflict that is given up, the page shows the newer version", async () => {
  const { id } = await makeToken("Given up");
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${id}`);
  await openEdit(page, `/tokens/${id}`);
  await system.call("manager", "PUT", `/api/tokens/${id}`, { name: "Newer" });
  await dialog(page).getByLabel("Description").fill("mine");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await dialog(page).getByText("Someone else changed this").waitFor();
  await page.keyboard.press("Escape");
  await dialog(page).getByRole("button", { name: "Discard", exact: true }).click();
  await page.getByRole("heading", { name: "Newer", level: 1 }).waitFor();
  await page.context().close();
});

test("the first refused field gets the focus, and its error goes when it is mended", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "Create route" }).click();
  const form = dialog(page);
  const create = form.getByRole("button", { name: "Create and test" });
  await form.getByLabel("Name", { exact: false }).first().fill("Mended");
  await form.getByLabel("Path", { exact: false }).first().fill("/api/mended");
  await form.getByLabel("Upstream URL").fill("https://up.example/v1");
  await form.getByLabel("Kind").selectOption({ label: "Bearer token" });
  await create.focus();
  await page.keyboard.press("Space");
  const secret = form.getByRole("textbox", { name: /^Token/ });
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
  assert.match(await focused(page), /^Token/);
  await secret.fill("s3cret");
  assert.equal(await secret.getAttribute("aria-invalid"), "false");
  // The second case: refused by the API.
  await form.getByLabel("Path", { exact: false }).first().fill("/api/demo");
  await create.click();
  await form.getByText(/nother route .*this path/).waitFor();
  assert.match(await focused(page), /^Path/);
  await form.getByLabel("Path", { exact: false }).first().fill("/api/mended");
  assert.equal(await form.locator("[aria-invalid=true]").count(), 0);
  await create.click();
  await form.getByText("“Mended” is saved, but its test call failed").waitFor();
  await page.context().close();
});

test("a path that is typed into the scopes counts without a click on Add", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const form = dialog(page);
  await form.getByLabel("Name").fill("Typed path");
  await form.getByRole("button", { name: "Path", exact: true }).click();
  await form.getByLabel("Path").fill("/api/demo/*");
  await form.getByRole("button", { name: "Create token" }).click();
  await page.locator("[data-secret]").waitFor();
  const made = (await system.call("manager", "GET", "/api/tokens?search=Typed")).items[0];
  assert.deepEqual(made.scopes, ["/api/demo/*"]);
  await page.context().close();
});

test("the title of the next page gets the focus", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await page.getByRole("navigation").first().getByRole("link", { name: "Routes", exact: true }).click();
  await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
  assert.equal(await focused(page), "Routes");
  await page.getByRole("searchbox").last().fill("demo");
  await page.getByText("/api/demo", { exact: true }).first().waitFor();
  assert.notEqual(await focused(page), "Routes", "a filter of the page is no other page");
  await page.context().close();
});

test("a page that arrives late leaves the focus to an open menu", async () => {
  const page = await openPage(browser, system);
  let arrive = () => {};
  const late = new Promise((resolve) => (arrive = () => resolve(undefined)));
  await page.route("**/split_records.wasm", async (route) => {
    await late;
    await route.continue();
  });
  await signIn(page, system, "admin", "/usage");
  await page.getByRole("navigation").first().getByRole("link", { name: "Teams & people" }).click();
  await page.getByRole("button", { name: /^Account of/ }).click();
  arrive();
  await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
  await settle(page);
  assert.match(await focused(page), /^Account of/);
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await page.context().close();
});

test("disabling can be undone, and the message covers no button and is shown once", async () => {
  const { id } = await makeToken("Undone");
  const page = await openPage(browser, system, { height: 700 });
  await signIn(page, system, "manager", `/tokens/${id}`);
  const disable = async () => {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await page.getByText(/^Disabled\. Calls like the 0 of the last hour/).waitFor();
  };
  await disable();
  assert.equal((await system.call("manager", "GET", `/api/tokens/${id}`)).state, "disabled");
  for (const name of ["Edit", "Rotate", "More actions"])
    await assertInView(page, page.getByRole("button", { name, exact: true }));
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText(/^Enabled\./).waitFor();
  assert.equal((await system.call("manager", "GET", `/api/tokens/${id}`)).state, "active");
  await disable();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Active", { exact: true }).waitFor();
  await disable();
  assert.equal(await page.getByText(/^Disabled\./).count(), 1);
  // Nothing that can be pressed lies under a message.
  const covered = await page.evaluate(() => {
    const toasts = document.querySelector(".tm-toasts").getBoundingClientRect();
    const main = document.querySelector(".pf-v6-c-page").getBoundingClientRect();
    return main.bottom > toasts.top + 1;
  });
  assert.ok(!covered, "the page ends where the messages begin");
  assertNoProblems(page);
  await page.context().close();
});

test("255 characters without a space break no list, card or page", { timeout: 120_000 }, async () => {
  const long = "n".repeat(255);
  await makeToken(long);
  await system.addRoute(`r${long.slice(1)}`, "/api/long", "/echo");
  await system.call("admin", "POST", "/api/teams", {
    id: "long",
    name: `t${long.slice(1)}`,
    description: long,
  });
  for (const width of [1440, 400]) {
    const page = await openPage(browser, system, { width });
    await signIn(page, system, "admin", "/usage");
    for (const where of [
      "/tokens",
      "/routes",
      "/teams",
      "/users",
      "/audit-logs",
      "/usage?by=token",
      "/teams/long",
    ]) {
      await page.goto(system.urls.ui + where);
      await settle(page);
      const found = await page.evaluate(() => {
        const main = document.querySelector("main");
        const rows = [...main.querySelectorAll("tbody tr")].map((row) => row.getBoundingClientRect().height);
        const wide = [...main.querySelectorAll("table, select, li")].filter(
          (element) => element.getBoundingClientRect().width > main.clientWidth,
        );
        return {
          over: main.scrollWidth - main.clientWidth,
          wide: wide.length,
          tallest: Math.max(0, ...rows),
        };
      });
      assert.ok(found.over <= 0 && found.wide === 0, `${where} at ${width}: ${JSON.stringify(found)}`);
      if (width === 1440) assert.ok(found.tallest < 140, `${where}: a row is ${found.tallest} px high`);
    }
    await page.context().close();
  }
});
