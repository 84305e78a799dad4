// Documents keep their promises: links lead somewhere, named files and commands exist, and a block of commands
// says who runs it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
const documents = tracked.filter((file) => /^(docs\/)?[\w-]+\.md$/.test(file));
const read = (file) => readFileSync(path.join(root, file), "utf8");
const prose = (file) => read(file).replace(/^```[^]*?^```/gm, "");

/** As GitHub makes anchors: lower case, no punctuation, hyphens for spaces. */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/ /g, "-");
const anchors = (file) => [...prose(file).matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1]));

/** Lists the problems of all documents, one line each. */
const eachDocument = (find) =>
  documents.flatMap((file) => find(file).map((problem) => `${file}: ${problem}`));

test("every link leads to a file, and to a heading of it", () => {
  let links = 0;
  const broken = eachDocument((file) =>
    [...prose(file).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1])
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        links++;
        const [where, heading] = link.split("#");
        const target = where ? path.join(path.dirname(file), where) : file;
        return (
          !existsSync(path.join(root, target)) ||
          (heading !== undefined && !anchors(target).includes(heading))
        );
      }),
  );
  assert.ok(links > 30, `only ${links} links were found`);
  assert.deepEqual(broken, []);
});

test("every document is in the index", () => {
  const index = read("docs/README.md");
  const missing = documents
    .filter((file) => file.startsWith("docs/") && file !== "docs/README.md")
    .filter((file) => !index.includes(`(${path.basename(file)})`));
  assert.deepEqual(missing, []);
});

const TOP = [...new Set(tracked.filter((file) => file.includes("/")).map((file) => file.split("/")[0]))]
  .join("|")
  .replaceAll(".", "\\.");

test("every file that how-to-add and the glossary name exists", () => {
  for (const file of ["docs/how-to-add.md", "docs/glossary.md"]) {
    const named = [...read(file).matchAll(new RegExp(`\`((?:${TOP})/[^\`\\s]*)\``, "g"))].map(
      (match) => match[1],
    );
    assert.ok(named.length > 20, `${file} names ${named.length} files`);
    assert.deepEqual(
      named.filter((name) => !existsSync(path.join(root, name))),
      [],
      file,
    );
  }
});

test("every test that how-to-add says would fail exists", () => {
  const sources = tracked
    .filter((file) => file.endsWith(".rs"))
    .map(read)
    .join("\n");
  const named = [...read("docs/how-to-add.md").matchAll(/`([a-z]+(?:_[a-z]+){2,})`/g)].map(
    (match) => match[1],
  );
  assert.ok(named.length > 10);
  assert.deepEqual(
    named.filter((name) => !sources.includes(`fn ${name}`)),
    [],
  );
});

test("every npm script that a document names exists", () => {
  const { scripts } = JSON.parse(read("package.json"));
  assert.deepEqual(
    eachDocument((file) =>
      [...read(file).matchAll(/npm run ([\w:-]+)/g)]
        .map((match) => match[1])
        .filter((name) => !scripts[name]),
    ),
    [],
  );
});

/** Commands that are part of `npm test`, which cannot run itself. */
const OF_NPM_TEST = /^(npm test|cargo (test|clippy|fmt)|node (--test|scripts\/build\/build\.mjs))\b/;

/** Returns the fault of a block's marker, the line above it; `undefined` if there is none. */
function faultOf(file, marker, block) {
  if (marker === "needs an account") return undefined;
  if (marker === "part of npm test") {
    const other = block.split("\n").find((line) => line && !OF_NPM_TEST.test(line));
    return other && `is not part of npm test: ${other}`;
  }
  const test = marker?.match(/^run by (tests\/\S+\.test\.mjs)$/)?.[1];
  if (!test) return `does not say who runs it: ${block.split("\n")[0]}`;
  return existsSync(path.join(root, test)) && read(test).includes(file)
    ? undefined
    : `${test} does not name it`;
}

test("every block of commands is run by a test, or is marked as needing an account", () => {
  let blocks = 0;
  const faults = eachDocument((file) =>
    [...read(file).matchAll(/(?:^<!-- (.*) -->\n)?^ *```(?:sh|bash|shell|console)\n([^]*?)^ *```/gm)].flatMap(
      ([, marker, block]) => {
        blocks++;
        return faultOf(file, marker, block) ?? [];
      },
    ),
  );
  assert.ok(blocks > 5, `only ${blocks} blocks were found`);
  assert.deepEqual(faults, []);
});
