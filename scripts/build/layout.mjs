// Arranges the UI as Pages serves it: the program that cargo compiled, its JavaScript, and index.html with the names of
// all of them. The name of a file or its folder carries a hash of the content, so that browsers may cache it for ever (see
// headers.mjs).
import { createHash } from "node:crypto";
import { cpSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { run } from "../setup.mjs";

function hash(...contents) {
  const sum = createHash("sha256");
  for (const content of contents) sum.update(content);
  return sum.digest("hex").slice(0, 16);
}

/** Copies the file that a `data-hashed` tag names to `dist`, and points the tag at the copy, with its integrity. */
function hashedTag(cwd, dist) {
  return (_tag, attribute, file) => {
    const content = readFileSync(path.join(cwd, file));
    const { name, ext } = path.parse(file);
    const copy = `${name}-${hash(content)}${ext}`;
    writeFileSync(path.join(dist, copy), content);
    return `${attribute}="/${copy}" integrity="sha384-${createHash("sha384").update(content).digest("base64")}"`;
  };
}

/**
 * Makes the folder of the program: its wasm in parts (`#[wasm_split]`), their JavaScript, and the charts. The files name each
 * other, so the folder has the hash of them all. Returns the names that the page has to know.
 */
async function program({ dist, wasm, bindgen, wasmOpt, charts }) {
  const folder = path.join(dist, "program");
  await run(bindgen, ["web", wasm, folder, "admin-ui"], { quiet: true });
  cpSync(charts, path.join(folder, "charts.js"));
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
  const at = (name) => path.join(folder, name);
  for (const file of wasmOpt ? files.filter((file) => file.endsWith(".wasm")) : [])
    await run(wasmOpt, ["-Oz", at(file), "-o", at(file)], { quiet: true });
  const place = `program-${hash(...files.map((file) => readFileSync(at(file))))}`;
  renameSync(folder, path.join(dist, place));
  // A crate's JavaScript is written out even if nothing of it is linked.
  const script = readFileSync(path.join(dist, place, "admin-ui.js"), "utf8");
  const modules = files.filter(
    (file) => file === "admin-ui.js" || (file.endsWith(".js") && script.includes(`"./${file}"`)),
  );
  return {
    module: `/${place}/admin-ui.js`,
    wasm: `/${place}/admin-ui_bg.wasm`,
    charts: `/${place}/charts.js`,
    modules: modules.map((file) => `/${place}/${file}`),
  };
}

/** No integrity for the program: everything comes from this site, and browsers warn about it on wasm. */
function programTags({ module, wasm, charts, modules }) {
  return [
    `<template id="program" data-module="${module}" data-wasm="${wasm}" data-charts="${charts}"></template>`,
    ...modules.map((file) => `<link rel="modulepreload" href="${file}" crossorigin="anonymous" />`),
    `<link rel="preload" href="${wasm}" crossorigin="anonymous" as="fetch" type="application/wasm" />`,
  ].join("\n    ");
}

/** Fills the empty folder `dist` with the UI in `cwd`. Without `wasmOpt` the program stays as cargo made it. */
export async function layOut(cwd, { dist, wasm, bindgen, wasmOpt }) {
  const charts = path.join(cwd, "build/charts.js");
  const tags = programTags(await program({ dist, wasm, bindgen, wasmOpt, charts }));
  const page = readFileSync(path.join(cwd, "index.html"), "utf8")
    .replace("<!-- program -->", tags)
    .replace(
      /data-hashed (.*?)(href|src)="(.*?)"/g,
      (tag, before, ...rest) => before + hashedTag(cwd, dist)(tag, ...rest),
    );
  if (page.includes("data-hashed") || !page.includes(tags))
    throw new Error("index.html: a tag was not understood");
  cpSync(path.join(cwd, "public/config.json"), path.join(dist, "config.json"));
  cpSync(path.join(cwd, "build/assets"), path.join(dist, "assets"), { recursive: true });
  writeFileSync(path.join(dist, "index.html"), page);
}
