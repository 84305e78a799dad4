// Takes out of a style sheet what no page can use: rules for classes that no source names, then custom properties that
// nothing refers to. PatternFly's components have rules for every variant of theirs, and variables for each of those.

/** Returns the index behind the text in quotes that begins at `at`. */
function afterQuote(css, at) {
  let end = at + 1;
  while (css[end] !== css[at]) end += css[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Splits at each `mark` that stands in no brackets, braces or quotes. */
function split(css, mark) {
  const parts = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < css.length; ) {
    const char = css[at];
    if (char === '"' || char === "'") {
      at = afterQuote(css, at);
      continue;
    }
    if ("([{".includes(char)) depth += 1;
    if (")]}".includes(char)) depth -= 1;
    at += 1;
    if (depth > 0 || char !== mark) continue;
    parts.push(css.slice(from, mark === "}" ? at : at - 1));
    from = at;
  }
  return [...parts, css.slice(from)];
}

/** Whether all classes of a selector are named. Those in brackets do not count: there, one may stand for others. */
function isUsed(selector, names) {
  const outside = selector.replace(/\((?:[^()]|\([^()]*\))*\)/g, "");
  const classes = outside.matchAll(/\.(-?[A-Za-z_][\w-]*)/g);
  // A breakpoint is put behind a variant's name when it is drawn, and `fa-` before an icon's.
  const isNamed = (name) => names.has(name) || names.has(name.replace(/-on-\w+$|^fa-/, ""));
  return [...classes].every(([, name]) => isNamed(name));
}

function rule(text, names) {
  const brace = text.indexOf("{");
  // Statements without a body, such as `@charset`, stand before the first rule.
  const [head, body] = [text.slice(0, brace), text.slice(brace + 1, -1)];
  if (brace < 0) return text;
  if (/@(media|supports|layer|container)\b/.test(head)) {
    const inner = rules(body, names);
    return inner && `${head}{${inner}}`;
  }
  if (head.includes("@")) return text;
  const used = split(head, ",").filter((selector) => isUsed(selector, names));
  return used.length > 0 ? `${used.join(",")}{${body}}` : "";
}

const rules = (css, names) =>
  split(css, "}")
    .map((text) => rule(text, names))
    .join("");

/** Takes out custom properties until each that is left is referred to, by the style sheet or in `sources`. */
function properties(css, sources) {
  const named = [...sources.matchAll(/--[\w-]+/g)].map(([name]) => name);
  const used = new Set([...named, ...[...css.matchAll(/var\(\s*(--[\w-]+)/g)].map(([, name]) => name)]);
  const left = css.replace(/(--[\w-]+):[^;{}"']*(;|(?=\}))/g, (all, name) => (used.has(name) ? all : ""));
  return left.length < css.length ? properties(left, sources) : left;
}

/** Returns a minified style sheet without what neither the program's `sources` nor those of its library can use. */
export function purge(css, sources, library) {
  const names = new Set([...`${sources} ${library}`.matchAll(/[A-Za-z][\w-]*/g)].map(([name]) => name));
  return properties(rules(css, names), sources);
}
