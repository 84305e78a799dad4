// The UI's style sheet with its fonts, cut down to the classes and icons that the program names and to Latin letters.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../setup.mjs";
import { linkedCrates } from "../supply/licenses.mjs";
import { purge } from "./purge.mjs";

/** Latin-1, Latin Extended-A, punctuation, arrows, signs; other scripts come from the system's fonts. */
const LETTERS = [
  [0x20, 0x17f],
  [0x2010, 0x205e],
  [0x20a0, 0x20bf],
  [0x2100, 0x2122],
  [0x2190, 0x2193],
  [0x2200, 0x2265],
]
  .flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
  )
  .join("");

/** The weights in use: PatternFly’s body begins at 400, its bold headings have 800. */
const WEIGHTS = { min: 400, max: 800 };

/** The Rust code in a folder, as one text. */
const codeIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".rs"))
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");

/** The names of icons that the code may hold. */
function iconsIn(code) {
  const found = new Set();
  for (const [, word] of code.matchAll(/\b(?:fa-)?([a-z0-9]+(?:-[a-z0-9]+)*)/g)) found.add(word);
  for (const [, name] of code.matchAll(/Icon::(\w+)/g))
    found.add(name.replace(/(?<=.)[A-Z]/g, "-$&").toLowerCase());
  return found;
}

/** Takes out of the built style sheet what neither the program nor the library of its components can use. */
async function cutDown(file, cwd, code) {
  const library = (await linkedCrates("admin-ui")).find(({ name }) => name === "patternfly-yew");
  const pages = ["charts.js", "boot.js", "index.html"].map((name) => readFileSync(path.join(cwd, name), "utf8"));
  const css = purge(readFileSync(file, "utf8"), [code, ...pages].join("\n"), codeIn(path.join(library.folder, "src")));
  writeFileSync(file, css);
}

/** Bundles `styles/main.css` of `cwd` to `build/style.css`, and its fonts and images to `build/assets`. */
export async function buildStyles(cwd) {
  const [{ build }, { default: subsetFont }] = await Promise.all([import("esbuild"), import("subset-font")]);
  const code = codeIn(path.join(cwd, "src"));
  const named = iconsIn(code);
  let icons = "";
  const trim = {
    name: "trim",
    setup({ onLoad }) {
      onLoad({ filter: /patternfly-base\.css$/ }, ({ path: file }) => ({
        loader: "css",
        contents: readFileSync(file, "utf8").replace(
          /\.fa-([a-z0-9-]+):before \{\s*content: "\\([0-9a-f]+)";\s*\}/g,
          (rule, name, code) => {
            if (!named.has(name)) return "";
            icons += String.fromCodePoint(parseInt(code, 16));
            return rule;
          },
        ),
      }));
      onLoad({ filter: /\.woff2$/ }, async ({ path: file }) => {
        const isText = file.includes("RedHat");
        const options = { targetFormat: "woff2", ...(isText && { variationAxes: { wght: WEIGHTS } }) };
        return { loader: "file", contents: await subsetFont(readFileSync(file), isText ? LETTERS : icons, options) };
      });
    },
  };
  await build({
    absWorkingDir: cwd,
    entryPoints: { style: "styles/main.css" },
    outdir: "build",
    assetNames: "assets/[name]-[hash]",
    nodePaths: [path.join(root, "node_modules")],
    loader: { ".svg": "file" },
    bundle: true,
    minify: true,
    target: "es2022",
    logLevel: "error",
    plugins: [trim],
  });
  await cutDown(path.join(cwd, "build/style.css"), cwd, code);
}
