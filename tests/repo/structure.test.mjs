// The structure of the sources: no circles between files, and sizes that a reader can keep in mind. Each number may only fall.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files", "*.rs", "*.mjs", "gateway/js/*.js"], {
  cwd: root,
  encoding: "utf8",
})
  .trim()
  .split("\n");
const files = tracked.filter((file) => existsSync(path.join(root, file)));
const sources = new Map(files.map((file) => [file, readFileSync(path.join(root, file), "utf8")]));

/** Current exceptions, by the first part of their path. */
const CIRCLES = {};
const LONG_FUNCTIONS = { local: 3, scripts: 1, tests: 5 };
const LONG_COMPONENTS = {};
const LONG_FILES = {};
const MOST_LINES = { function: 60, component: 80, file: 400 };

/** Fails if a group has more exceptions than are recorded for it. */
function holdTo(recorded, found) {
  const groups = Object.entries(Object.groupBy(found, (name) => name.split("/")[0]));
  const above = groups
    .filter(([top, all]) => all.length > (recorded[top] ?? 0))
    .map(([top, all]) => `${top}: ${all.length}, at most ${recorded[top] ?? 0}\n${all.join("\n")}`);
  assert.ok(above.length === 0, above.join("\n\n"));
}

/** Every path that a `use` tree or an expression spells out: `a::{b, c::d}` is `a::b` and `a::c::d`. */
function paths(text) {
  const [head] = /^\w+(::\w+)*/.exec(text) ?? [""];
  const rest = text.slice(head.length);
  const open = head ? "::{" : "{";
  if (!rest.startsWith(open)) return [head];
  const parts = [""];
  for (let i = open.length, depth = 1; i < rest.length && depth > 0; i++) {
    depth += { "{": 1, "}": -1 }[rest[i]] ?? 0;
    if (depth === 1 && rest[i] === ",") parts.push("");
    else if (depth > 0) parts[parts.length - 1] += rest[i];
  }
  return parts.flatMap((part) => paths(part.trim())).map((part) => (head ? `${head}::${part}` : part));
}

/** The files of the same crate that a file names by `crate::` or `super::`. Its tests do not count, nor does `mod`. */
function rustArrows(file, modules) {
  const [crate, inside] = file.split(/\/src\//);
  const own = moduleOf(inside);
  const code = sources
    .get(file)
    .split(/\n#\[cfg\(test\)\]\nmod /)[0]
    .replace(/\/\/.*/g, "");
  const arrows = new Set();
  for (const { 1: anchor, index, 0: all } of code.matchAll(/\b(crate|super(?:::super)*)::/g)) {
    const base = anchor === "crate" ? [] : own.slice(0, own.length - anchor.split("::").length);
    for (const named of paths(code.slice(index + all.length))) {
      const target = [...base, ...named.split("::")];
      while (target.length > 0 && !modules.has(`${crate}:${target.join("::")}`)) target.pop();
      const found = modules.get(`${crate}:${target.join("::")}`);
      if (found && found !== file) arrows.add(found);
    }
  }
  return [...arrows];
}

const moduleOf = (inside) =>
  inside
    .replace(/(^|\/)(lib|main|mod)?\.rs$|\.rs$/, "")
    .split("/")
    .filter(Boolean);

const imports = (file) =>
  [...sources.get(file).matchAll(/(?:from|import\(?) ?"(\.[^"]+)"/g)]
    .map((match) => path.join(path.dirname(file), match[1]))
    .filter((target) => sources.has(target));

/** Groups of files each of which reaches every other. */
function circles(arrows) {
  const reach = new Map();
  for (const start of arrows.keys()) {
    const seen = new Set();
    const waiting = [...arrows.get(start)];
    for (let next = waiting.pop(); next; next = waiting.pop())
      if (!seen.has(next)) waiting.push(...(arrows.get(seen.add(next) && next) ?? []));
    reach.set(start, seen);
  }
  const isInOne = [...reach].filter(([file, seen]) => seen.has(file)).map(([file]) => file);
  const groups = isInOne.map((file) =>
    [...reach.get(file)]
      .filter((other) => reach.get(other)?.has(file))
      .sort()
      .join(" <-> "),
  );
  return [...new Set(groups)];
}

test("no circle between files", () => {
  const rust = files.filter((file) => /\/src\/.*\.rs$/.test(file));
  const modules = new Map(
    rust.map((file) => [
      `${file.split(/\/src\//)[0]}:${moduleOf(file.split(/\/src\//)[1]).join("::")}`,
      file,
    ]),
  );
  const arrows = new Map(rust.map((file) => [file, rustArrows(file, modules)]));
  for (const file of files.filter((name) => name.endsWith(".mjs"))) arrows.set(file, imports(file));
  assert.ok([...arrows.values()].flat().length > 500, "the arrows are found");
  holdTo(CIRCLES, circles(arrows));
});

/**
 * Folders from the ground up: a JavaScript file imports from its own folder and from those above it in this list. So what
 * is built knows nothing of what runs it, the scripts know nothing of the tests, and `scripts/dev` alone runs `local`.
 */
const FLOORS = [
  "scripts/setup.mjs",
  "scripts/supply/",
  "scripts/build/",
  "local/",
  "scripts/ops/",
  "scripts/dev/",
  "tests/support/",
  "tests/",
  "bench/",
];

test("imports of JavaScript lead down: scripts know no tests, and what `local` needs does not need it", () => {
  const floorOf = (file) => FLOORS.findIndex((folder) => file.startsWith(folder));
  const scripts = files.filter((file) => file.endsWith(".mjs") && file.includes("/"));
  assert.deepEqual(
    scripts.filter((file) => floorOf(file) < 0),
    [],
    "files on no floor",
  );
  const up = scripts.flatMap((file) =>
    imports(file)
      .filter((target) => floorOf(target) > floorOf(file))
      .map((target) => `${file} -> ${target}`),
  );
  assert.deepEqual(up, []);
});

/** Named functions of a file: where each begins, its name, its lines, and whether it is a component of the UI. */
function* functions(file) {
  const lines = sources.get(file).split("\n");
  const opening = file.endsWith(".rs")
    ? /^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn (\w+)/
    : /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|const (\w+) = (?:async )?\([^)]*\) => \{$)/;
  for (const [start, line] of lines.entries()) {
    const [, indent, ...names] = opening.exec(line) ?? [];
    if (indent === undefined || /[;}]$/.test(line)) continue;
    const end = lines.findIndex(
      (other, i) =>
        i > start && new RegExp(`^${indent}(\\}|\\).*;$)`).test(other) && !/^\s*\} from |\{$/.test(other),
    );
    const isComponent = /#\[(function_)?component/.test(
      lines.slice(Math.max(0, start - 3), start).join("\n"),
    );
    yield { name: `${file}: ${names.find(Boolean)}`, lines: end - start + 1, isComponent };
  }
}

test("no function over 60 lines, and no component over 80", () => {
  const all = files.flatMap((file) => [...functions(file)]);
  assert.ok(
    all.length > 2_000 && all.filter(({ isComponent }) => isComponent).length > 50,
    `${all.length} functions`,
  );
  const tooLong = (isComponent, most) =>
    all
      .filter((one) => one.isComponent === isComponent && one.lines > most)
      .map(({ name, lines }) => `${name}, ${lines} lines`);
  holdTo(LONG_FUNCTIONS, tooLong(false, MOST_LINES.function));
  holdTo(LONG_COMPONENTS, tooLong(true, MOST_LINES.component));
});

test('no file over 400 lines, unless its first comment says why, with the word "lines"', () => {
  const isExplained = (text) => /\blines\b/.test(/^(\s*\/\/.*\n)+/.exec(text)?.[0] ?? "");
  const long = [...sources].map(([file, text]) => ({
    file,
    lines: text.split("\n").length - 1,
    isExplained: isExplained(text),
  }));
  holdTo(
    LONG_FILES,
    long
      .filter(({ lines, isExplained }) => lines > MOST_LINES.file && !isExplained)
      .map(({ file, lines }) => `${file}, ${lines} lines`),
  );
});
