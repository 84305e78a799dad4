// The check of an exported audit log in the browser: export, verify, tamper, in both languages.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
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

const folder = mkdtempSync(path.join(tmpdir(), "audit-ui-"));
/** Keeps pictures of the page if it names a folder. */
const PICTURES = process.env.PICTURES;
useUi(async () => {
  for (const name of ["Daily digest", "=1+1, '=2", "摘要"])
    await system.call("admin", "POST", "/api/tokens", { name, team_id: "automation", scopes: ["*"] });
});

const headOf = async () => (await system.call("admin", "GET", "/api/dashboard/audit-logs?limit=1")).head;

const WORDS = {
  en: {
    export: "Download the whole log",
    link: "Verify an export",
    file: /Exported file/,
    head: /Head kept elsewhere/,
    run: "Verify",
    alone: "The file agrees with itself. Compare it with a head that was kept elsewhere",
    fine: "Everything is as it was written, from the start up to the head that you kept",
    changed: (id) => new RegExp(`entry 2 \\(${id}, line \\d+\\) was changed`),
    cut: /the end was cut/,
    invalid: /must be 64 hex digits/,
  },
  "zh-Hant": {
    export: "下載完整紀錄",
    link: "驗證匯出檔",
    file: /匯出的檔案/,
    head: /另外保存的最新雜湊/,
    run: "驗證",
    alone: "檔案內容前後一致。請與另外保存的最新雜湊比對",
    fine: "從起點到您保存的最新雜湊為止，所有內容都與寫入時相同",
    changed: (id) => new RegExp(`項目 2（${id}，第 \\d+ 列）遭到變更`),
    cut: /結尾遭到截斷/,
    invalid: /64 個十六進位數字/,
  },
};

for (const [language, words] of Object.entries(WORDS)) {
  test(
    `an export is verified in the browser, and tampering is named, ${language}`,
    { timeout: 180_000 },
    async () => {
      const theme = language === "en" ? "light" : "dark";
      const page = await openPage(browser, system, { language, theme });
      const picture = async (name) =>
        PICTURES && (await page.screenshot({ path: path.join(PICTURES, `${name}-${language}.png`) }));
      await eventually(async () => {
        await system.cron();
        return (await headOf())?.seq >= 3;
      }, 90_000);
      const head = await headOf();
      await signIn(page, system, "admin", "/audit-logs");
      await settle(page);
      await page.getByText(`${head.seq}:${head.hash}`).waitFor();
      await picture("audit");
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: words.export }).click(),
      ]);
      const file = path.join(folder, "audit.csv");
      await download.saveAs(file);
      await page.getByRole("link", { name: words.link }).click();
      await page.waitForURL("**/audit-logs/verify");

      const check = async (text, kept = "") => {
        const changed = path.join(folder, `checked-${language}.csv`);
        writeFileSync(changed, text);
        await page.getByLabel(words.file).setInputFiles(changed);
        await page.getByLabel(words.head).fill(kept);
        await page.getByRole("button", { name: words.run, exact: true }).click();
      };
      const csv = readFileSync(file, "utf8");
      await check(csv);
      await page.getByText(words.alone).waitFor();
      await check(csv, `${head.seq}:${head.hash}`);
      await page.getByText(words.fine).waitFor();
      await picture("verified");
      assert.deepEqual(await violations(page), []);
      const lines = csv.split("\r\n");
      const second = lines.find((line) => /,2,[0-9a-f]{64},[0-9a-f]{64}$/.test(line));
      const id = second.split(",")[1];
      await check(csv.replace(second, second.replace("create-token", "delete-token")));
      await page.getByText(words.changed(id)).waitFor();
      await picture("changed");
      assert.deepEqual(await violations(page), []);
      await check([lines[0], ...lines.slice(-4)].join("\r\n"));
      await page.getByText(words.cut).waitFor();
      await page.getByLabel(words.head).fill("abc");
      await page.getByText(words.invalid).first().waitFor();
      assert.ok(await page.getByRole("button", { name: words.run, exact: true }).isDisabled());

      // It needs no session and no network.
      const stranger = await openPage(browser, system, { language });
      await stranger.goto(`${system.urls.ui}/audit-logs/verify`);
      await settle(stranger);
      await stranger.context().setOffline(true);
      await stranger.getByLabel(words.file).setInputFiles(file);
      await stranger.getByRole("button", { name: words.run, exact: true }).click();
      await stranger.getByText(words.alone).waitFor();
      assertNoProblems(page);
      await stranger.context().close();
      await page.context().close();
    },
  );
}
