// The prose of the sources: doc lines are sentences about their item, and nobody is called "he".
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
const read = (file) => readFileSync(path.join(root, file), "utf8");

/** The first line of every doc block: one that no doc line of the same kind precedes. */
function blocks(text) {
  const lines = text.split("\n").map((line) => /^\s*(\/\/[/!])(?!\/)\s?(.*)/.exec(line));
  return lines.filter((line, i) => line && lines[i - 1]?.[1] !== line[1]).map(([, , words]) => words);
}

test("no doc block begins with What, Who, Of, As, Where, That or Also", () => {
  const all = tracked
    .filter((file) => file.endsWith(".rs"))
    .flatMap((file) => blocks(read(file)).map((words) => ({ file, words })));
  assert.ok(all.length > 1_000);
  const headless = /^(What|Who|Whoever|Whose|Of|As|Where|That|Also)\b/;
  assert.deepEqual(
    all.filter(({ words }) => headless.test(words)),
    [],
  );
});

test('no line says "he", "him" or "his"', () => {
  const files = tracked.filter(
    (file) => /\.(rs|mjs|md)$|i18n\/.*\.json$/.test(file) && file !== "tests/repo/prose.test.mjs",
  );
  const found = files.flatMap((file) =>
    read(file)
      .split("\n")
      .filter((line) => /\b(he|him|his|himself)\b/i.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
});
