// Arranges the UI as Pages serves it: the program that cargo compiled, its JavaScript, and index.html with the names of
// all of them. A name carries a hash of its content, so that browsers may cache the file for ever (see headers.mjs).
import { createHash } from "node:crypto";
import { cpSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
 * Makes the program's JavaScript beside its wasm, and returns the two names and those of the modules that they import.
 * The start script is not inline, which the Content-Security-Policy forbids: `boot.js` reads the names from a template.
 */
async function program({ dist, wasm, bindgen, wasmOpt }) {
  await run(bindgen, ["web", wasm, dist, "admin-ui"], { quiet: true });
  const at = (name) => path.join(dist, name);
  if (wasmOpt)
    await run(wasmOpt, ["-Oz", at("admin-ui_bg.wasm"), "-o", at("admin-ui_bg.wasm")], { quiet: true });
  const script = readFileSync(at("admin-ui.js"), "utf8");
  const name = `admin-ui-${hash(script, readFileSync(at("admin-ui_bg.wasm")))}`;
  writeFileSync(at(`${name}.js`), script.replaceAll("admin-ui_bg.wasm", `${name}_bg.wasm`));
  renameSync(at("admin-ui_bg.wasm"), at(`${name}_bg.wasm`));
  rmSync(at("admin-ui.js"));
  const snippets = readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((file) => /^snippets.*\.js$/.test(file))
    .sort();
  return {
    module: `/${name}.js`,
    wasm: `/${name}_bg.wasm`,
    modules: [`/${name}.js`, ...snippets.map((file) => `/${file}`)],
  };
}

/** No integrity for the program: everything comes from this site, and browsers warn about it on wasm. */
function programTags({ module, wasm, modules }) {
  return [
    `<template id="program" data-module="${module}" data-wasm="${wasm}"></template>`,
    ...modules.map((file) => `<link rel="modulepreload" href="${file}" crossorigin="anonymous" />`),
    `<link rel="preload" href="${wasm}" crossorigin="anonymous" as="fetch" type="application/wasm" />`,
  ].join("\n    ");
}

/** Fills the empty folder `dist` with the UI in `cwd`. Without `wasmOpt` the program stays as cargo made it. */
export async function layOut(cwd, { dist, wasm, bindgen, wasmOpt }) {
  const tags = programTags(await program({ dist, wasm, bindgen, wasmOpt }));
  const page = readFileSync(path.join(cwd, "index.html"), "utf8")
    .replace("<!-- program -->", tags)
    .replace(
      /data-hashed (.*?)(href|src)="(.*?)"/g,
      (tag, before, ...rest) => before + hashedTag(cwd, dist)(tag, ...rest),
    );
  if (page.includes("data-hashed") || !page.includes(tags))
    throw new Error("index.html: a tag was not understood");
  cpSync(path.join(cwd, "public/config.json"), path.join(dist, "config.json"));
  cpSync(path.join(cwd, "build/charts.js"), path.join(dist, "charts.js"));
  cpSync(path.join(cwd, "build/assets"), path.join(dist, "assets"), { recursive: true });
  writeFileSync(path.join(dist, "index.html"), page);
}
