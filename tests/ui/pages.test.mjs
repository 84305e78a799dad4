// Every page: as each of the five people, in both languages and themes, at three widths, and by axe.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";
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

let pages;
useUi(async () => {
  const route = await system.addRoute("Echo", "/api/demo", "/echo", {
    credential: { kind: "bearer", token: "vendor-key" },
  });
  const token = await system.call("manager", "POST", "/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["demo", "tag:gone"],
    expires_days: 10,
  });
  for (let i = 0; i < 3; i++)
    await (
      await fetch(`${system.urls.gateway}/api/demo/x`, { headers: { "x-api-key": token.token } })
    ).text();
  pages = [
    "/dashboard",
    "/usage",
    "/usage?by=token&metric=cost&compare=previous",
    `/usage?by=route&metric=p95&token=${token.id}`,
    "/calls",
    "/tokens",
    `/tokens/${token.id}`,
    "/routes",
    `/routes/${route.id}`,
    "/teams",
    "/teams/automation",
    "/users",
    "/keys",
    "/models",
    "/channels",
    "/audit-logs",
    "/audit-logs/verify",
    "/import",
    "/system-health",
    "/no-such-page",
  ];
});

for (const [theme, language] of [
  ["light", "en"],
  ["dark", "zh-Hant"],
]) {
  test(`axe finds nothing on any page, ${theme}, ${language}`, { timeout: 240_000 }, async () => {
    const page = await openPage(browser, system, { theme, language });
    await page.goto(`${system.urls.ui}/sign-in`);
    await settle(page);
    assert.deepEqual(await violations(page), [], "/sign-in");
    await signIn(page, system, "admin", "/dashboard");
    for (const where of pages) {
      await page.goto(system.urls.ui + where);
      await settle(page);
      assert.deepEqual(await violations(page), [], where);
    }
    assertNoProblems(page);
    await page.context().close();
  });
}

test(
  "nothing is too wide, or in more lines than one, at 1440, 1024 and 400 px",
  { timeout: 240_000 },
  async () => {
    let actions = 0;
    for (const width of [1440, 1024, 400]) {
      const page = await openPage(browser, system, { width });
      await signIn(page, system, "admin", "/dashboard");
      for (const where of pages) {
        await page.goto(system.urls.ui + where);
        await settle(page);
        const { over, head, lines } = await page.evaluate(() => {
          const main = document.querySelector("main");
          const tops = (row) => new Set([...row.children].map((one) => one.getBoundingClientRect().top));
          return {
            over: Math.max(
              document.documentElement.scrollWidth - innerWidth,
              main.scrollWidth - main.clientWidth,
            ),
            head: document.querySelector(".tm-masthead").clientHeight,
            lines: [...document.querySelectorAll(".tm-table .tm-actions")].map((row) => tops(row).size),
          };
        });
        assert.ok(over <= 0, `${where} is ${over} px too wide at ${width}`);
        assert.ok(head < 90, `${where}: a head of ${head} px at ${width}`);
        if (width === 1440) assert.ok(Math.max(0, ...lines) <= 1, `${where}: actions in ${lines} lines`);
        actions += lines.length;
      }
      await page.context().close();
    }
    assert.ok(actions > 0);
  },
);
test("no page has a class whose rules were cut out of the style sheet", { timeout: 120_000 }, async () => {
  const classes = (css) => [...css.matchAll(/\.(-?[A-Za-z_][\w-]*)/g)].map(([, name]) => name);
  const main = readFileSync(path.join(root, "admin-ui/styles/main.css"), "utf8");
  const whole = [...main.matchAll(/@import "(@patternfly[^"]*)"/g)].map(([, file]) =>
    readFileSync(path.join(root, "node_modules", file), "utf8"),
  );
  const dist = path.join(root, "admin-ui/dist");
  const style = readdirSync(dist).find((name) => /^style-.*\.css$/.test(name));
  const shipped = new Set(classes(readFileSync(path.join(dist, style), "utf8")));
  // PatternFly's icons have style sheets of their own.
  const cut = classes(whole.join("\n")).filter((name) => name.startsWith("pf-") && !shipped.has(name));
  assert.ok(cut.length > 500, "something was cut out");
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/dashboard");
  for (const where of pages) {
    await page.goto(system.urls.ui + where);
    await settle(page);
    const missing = await page.evaluate((cut) => {
      const names = new Set([...document.querySelectorAll("[class]")].flatMap((node) => [...node.classList]));
      return cut.filter((name) => names.has(name));
    }, cut);
    assert.deepEqual(missing, [], where);
  }
  await page.context().close();
});

test("no page shows a key or a text of the other language", { timeout: 120_000 }, async () => {
  const page = await openPage(browser, system, { language: "zh-Hant" });
  const english = JSON.parse(readFileSync(path.join(root, "admin-ui/i18n/en.json"), "utf8"));
  const chinese = JSON.parse(readFileSync(path.join(root, "admin-ui/i18n/zh-Hant.json"), "utf8"));
  // A text of one word may be a name, and some words are the same in both languages.
  const telling = Object.entries(english).filter(
    ([key, text]) => text !== chinese[key] && /\w \w/.test(text) && !text.includes("{"),
  );
  assert.ok(telling.length > 150);
  await signIn(page, system, "admin", "/dashboard");
  for (const where of pages) {
    await page.goto(system.urls.ui + where);
    await settle(page);
    const text = await page.locator("body").innerText();
    for (const [key, words] of telling) assert.ok(!text.includes(words), `${where} says “${words}” (${key})`);
    for (const key of Object.keys(english))
      assert.ok(!text.split(/\s/).includes(key), `${where} shows the key ${key}`);
    const bare = await page.evaluate(() =>
      [...document.querySelectorAll("i.fas")]
        .filter((icon) => getComputedStyle(icon, "::before").content === "none")
        .map((icon) => icon.className),
    );
    assert.deepEqual(bare, [], `${where} has icons that the style sheet lacks`);
  }
  await page.context().close();
});

test("each of the five people sees the actions that they may do", async () => {
  const sees = async (user, where, names) => {
    const page = await openPage(browser, system);
    await signIn(page, system, user, where);
    await settle(page);
    for (const [name, isThere] of Object.entries(names)) {
      assert.equal(
        (await page.getByRole("button", { name, exact: true }).count()) > 0,
        isThere,
        `${user}, ${where}: ${name}`,
      );
    }
    assertNoProblems(page);
    await page.context().close();
  };
  for (const [user, may] of Object.entries({ admin: true, manager: true, developer: true, viewer: false })) {
    await sees(user, "/tokens", { "Create token": may });
  }
  for (const user of ["admin", "manager", "developer", "viewer"])
    await sees(user, "/routes", { "Create route": user === "admin" });
  await sees("viewer", "/users", { Invite: false });
  await sees("manager", "/users", { Invite: true });
  for (const [user, where] of [
    ["viewer", "/import"],
    ["developer", "/import"],
    ["viewer", "/audit-logs"],
  ]) {
    await sees(user, where, { "Import now": false, "Download CSV": false, "Try again": false });
    const page = await openPage(browser, system);
    await signIn(page, system, user, where);
    await page.getByText("You don't have permission").waitFor();
    await page.context().close();
  }

  const page = await openPage(browser, system);
  await signIn(page, system, "newcomer", "/tokens");
  await page.getByRole("heading", { name: "Waiting for access" }).waitFor();
  await page.getByText("newcomer@example.test").first().waitFor();
  assert.equal(await page.getByRole("navigation", { name: "Main navigation" }).count(), 0);
  await page.context().close();
});

test("followed calls appear by themselves, newest on top, until paused", async () => {
  const page = await openPage(browser, system);
  const { id, token } = await system.call("manager", "POST", "/api/tokens", {
    name: "Followed",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 1,
  });
  const call = async (path) =>
    (await fetch(system.urls.gateway + path, { headers: { "x-api-key": token } })).text();
  await call("/api/demo/first");
  await signIn(page, system, "viewer", `/calls?token=${id}`);
  const rows = page.getByRole("table", { name: "Recent calls" }).getByRole("row");
  await eventually(
    async () => (await page.reload(), await settle(page), (await rows.count()) === 2),
    20_000,
    "the first call",
  );
  await page.getByRole("button", { name: "Live" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await call("/api/demo/second");
  await page.getByText("/api/demo/second").waitFor();
  assert.match(await rows.nth(1).innerText(), /second/);
  await page.getByRole("button", { name: "Pause" }).click();
  await call("/api/demo/third");
  let asked = 0;
  page.on("request", (request) => request.url().includes("/api/usage/events") && asked++);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  assert.equal(asked, 0);
  assert.equal(await page.getByText("/api/demo/third").count(), 0);
  assertNoProblems(page);
  await page.context().close();
});

test("the palette opens from every page, and bell and status open", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/system-health");
  await page.getByRole("button", { name: "Search or jump…" }).click();
  await page.locator("[role=combobox]").fill("dig");
  await page.getByRole("option", { name: /Digest/ }).click();
  await page.getByRole("heading", { name: "Digest", level: 1 }).waitFor();
  await page.getByRole("button", { name: /^Notifications/ }).click();
  await page.getByRole("heading", { name: "Notifications" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("heading", { name: "Notifications" }).count(), 0);
  await page.getByRole("link", { name: /System status/ }).click();
  await page.getByRole("heading", { name: "System health" }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("theme, language and sidebar are remembered", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/usage");
  await page.getByRole("button", { name: "Show or hide the navigation" }).click();
  assert.equal(await page.getByRole("navigation", { name: "Main navigation" }).count(), 0);
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Dark" }).click();
  await page.getByRole("button", { name: "繁體中文" }).click();
  await page.getByRole("heading", { name: "用量", level: 1 }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "用量", level: 1 }).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.classList.contains("pf-v6-theme-dark")));
  assert.equal(await page.getByRole("navigation").filter({ hasText: "首頁" }).count(), 0);
  await page.context().close();
});

test("the import wizard previews the result, imports once, and names the refused entries", async () => {
  const hash = "ab".repeat(32);
  const kv = {
    [`token:${hash}`]: JSON.stringify({
      name: "Old workflow",
      team_id: "automation",
      scopes: ["old"],
      created_at: "2025-11-01T00:00:00",
      expires_at: null,
    }),
    routes: JSON.stringify({
      "/api/old": { url: "https://old.example/v1", tags: ["old"], auth: { type: "none" } },
      "no path": { url: "https://x.example" },
    }),
  };
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/import");
  await page
    .getByLabel("Files of the earlier system")
    .setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
  await page.getByText(/notes\.txt is not one of these files/).waitFor();
  await page.getByLabel("Files of the earlier system").setInputFiles({
    name: "kv.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(kv)),
  });
  const go = page.getByRole("button", { name: "Import now" });
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await page.getByText("2 created, 1 existing, 1 refused").waitFor();
  assert.deepEqual(
    (await system.call("admin", "GET", "/api/tokens?search=Old")).items,
    [],
    "nothing was imported yet",
  );
  await go.click();
  await page.getByRole("heading", { name: "Result", exact: true }).waitFor();
  assert.equal((await system.call("admin", "GET", "/api/tokens?search=Old")).items.length, 1);
  await page.getByRole("button", { name: "Preview", exact: true }).click();
  await page.getByText("0 created, 3 existing, 1 refused").waitFor();
  assert.ok(await go.isDisabled());
  assertNoProblems(page);
  await page.context().close();
});
