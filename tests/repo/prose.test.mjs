// The prose of the sources: how doc blocks begin, and that nobody is called "he". Each number may only fall.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
const read = (file) => readFileSync(path.join(root, file), "utf8");

/** Doc blocks by crate that begin with a word which makes no sentence about the item. */
const BEGINNINGS = {
  "admin-api": 54,
  "admin-ui": 3,
  contract: 41,
  domain: 62,
};
/** Lines that call somebody "he", by the folder or file at the top. */
const HE = { "SECURITY.md": 3, "admin-api": 5, contract: 2, docs: 6, domain: 2 };

/** The first line of every doc block: one that no doc line of the same kind precedes. */
function blocks(text) {
  const lines = text.split("\n").map((line) => /^\s*(\/\/[/!])(?!\/)\s?(.*)/.exec(line));
  return lines.filter((line, i) => line && lines[i - 1]?.[1] !== line[1]).map(([, , words]) => words);
}

/** Counts by the first part of a file's path, and fails if one is above the number that is recorded. */
function holdTo(recorded, files, count) {
  const found = {};
  for (const file of files) (found[file.split("/")[0]] ??= []).push(...count(file));
  for (const [top, all] of Object.entries(found)) {
    assert.ok(
      all.length <= (recorded[top] ?? 0),
      `${top}: ${all.length}, at most ${recorded[top] ?? 0}:\n${all.join("\n")}`,
    );
  }
}

test("no more doc blocks than recorded begin with What, Who, Of, As, Where, That or Also", () => {
  const files = tracked.filter((file) => file.endsWith(".rs"));
  assert.ok(files.flatMap((file) => blocks(read(file))).length > 1_000);
  holdTo(BEGINNINGS, files, (file) =>
    blocks(read(file))
      .filter((words) => /^(What|Who|Whoever|Whose|Of|As|Where|That|Also)\b/.test(words))
      .map((words) => `${file}: ${words}`),
  );
});

test('no more lines than recorded say "he", "him" or "his"', () => {
  const files = tracked.filter(
    (file) => /\.(rs|mjs|md)$|i18n\/.*\.json$/.test(file) && file !== "tests/repo/prose.test.mjs",
  );
  holdTo(HE, files, (file) =>
    read(file)
      .split("\n")
      .filter((line) => /\b(he|him|his|himself)\b/i.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
});
