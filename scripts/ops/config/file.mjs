// A configuration file as YAML: the export, the request of an apply with the places of its fields, and the plan for
// people. Pure: no I/O.
import { LineCounter, isMap, isNode, parseDocument, stringify } from "yaml";

/** What is wrong with a file, each `{ line, column, text }`. */
export class Refused extends Error {
  constructor(places) {
    super(places.map(({ text }) => text).join("\n"));
    this.places = places;
  }
}

/** The file of an exported configuration. */
export function exported({ version, teams, routes, tokens, prices, channels }) {
  const dated = tokens.map((token) =>
    token.expires_at === undefined
      ? token
      : { ...token, expires_at: new Date(token.expires_at).toISOString() },
  );
  return stringify({ version, teams, routes, tokens: dated, prices, channels }, { lineWidth: 0 });
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * The body of a request, without mode, for the text of a file; `place` finds the line of a field of it. Lines with which
 * `npm run` begins its output count as comments.
 */
export function request(text, environment) {
  const lines = new LineCounter();
  const clean = text.replace(/^(?:\s*\n)*(?:> .*\n)+/, (head) => head.replaceAll(/^> /gm, "# "));
  const document = parseDocument(clean, { lineCounter: lines });
  const at = (offset) => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { line, column: col };
  };
  if (document.errors.length > 0)
    throw new Refused(
      document.errors.map(({ pos, message }) => ({ ...at(pos[0]), text: message.split("\n")[0] })),
    );
  const place = (field) => {
    const path = field.split(".").filter(Boolean);
    for (let length = path.length; ; length -= 1) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length).map(step), true);
      if (isNode(node) || length === 0)
        return { ...at(/** @type {any} */ (node)?.range?.[0]), name: field.replace(/^config\./, "") };
    }
  };
  if (!isMap(document.contents)) throw new Refused([{ line: 1, column: 1, text: "must be an object" }]);
  const config = document.toJS();
  const problems = [];
  const refuse = (field, text) => problems.push({ ...place(field), text: `${field} ${text}` });
  const kept = [];
  for (const [i, route] of listOf(config.routes).entries()) {
    const field = `routes.${i}.credential`;
    if (route?.credential === undefined || route.credential === null) continue;
    const resolved = resolve(route.credential, environment, (text) => refuse(field, text));
    if (resolved === undefined) {
      kept.push(route.path);
      delete route.credential;
    } else route.credential = resolved;
  }
  const keptChannels = [];
  for (const [i, channel] of listOf(config.channels).entries()) {
    if (channel?.target === undefined || channel.target === null) continue;
    channel.target = resolve(channel.target, environment, (text) => refuse(`channels.${i}.target`, text));
    if (channel.target === undefined) keptChannels.push(channel.name);
  }
  for (const [i, token] of listOf(config.tokens).entries()) {
    if (typeof token?.expires_at !== "string") continue;
    const time = Date.parse(token.expires_at);
    if (Number.isNaN(time)) refuse(`tokens.${i}.expires_at`, "must be a time such as 2027-01-31T00:00:00Z");
    else token.expires_at = time;
  }
  if (problems.length > 0) throw new Refused(problems);
  return { body: { config, kept }, keptChannels, place: (field) => place(field.replace(/^config\./, "")) };
}

const step = (name) => (/^\d+$/.test(name) ? Number(name) : name);
const listOf = (value) => (Array.isArray(value) ? value : []);

/**
 * A credential or receiver with its variables filled in: a whole one is JSON in one variable. Undefined if that is not set, so
 * that its route or channel keeps the one that it has.
 */
function resolve(credential, environment, refuse) {
  if (typeof credential === "string") {
    const [, name] = credential.match(/^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/) ?? [];
    if (!name) return refuse("must be an object, or a variable such as ${VENDOR_KEY}");
    if (!environment[name]) return undefined;
    try {
      return JSON.parse(environment[name]);
    } catch {
      // Nothing of it is shown: it is a secret.
      return refuse(`cannot be read: the variable ${name} does not hold JSON`);
    }
  }
  const fill = (value) => {
    if (Array.isArray(value)) return value.map(fill);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]));
    if (typeof value !== "string") return value;
    return value.replace(VARIABLE, (_, name) => {
      if (environment[name] === undefined) refuse(`needs the variable ${name}, which is not set`);
      return environment[name] ?? "";
    });
  };
  return fill(credential);
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** A plan as Terraform and decK show one. */
export function described(steps) {
  const count = (action) => steps.filter((one) => one.action === action).length;
  const lines = steps.flatMap(({ kind, key, action, fields, changes }) => {
    if (action === "create")
      return [
        `+ ${kind} ${key}`,
        ...Object.entries(fields).map(([name, value]) => `    ${name}: ${shown(value)}`),
      ];
    if (action === "delete") return [`- ${kind} ${key}`];
    return [
      `~ ${kind} ${key}`,
      ...Object.entries(changes).map(
        ([name, { before, after }]) => `    ${name}: ${shown(before)} -> ${shown(after)}`,
      ),
    ];
  });
  const sum = `Plan: ${count("create")} to create, ${count("update")} to change, ${count("delete")} to delete.`;
  return [...lines, steps.length === 0 ? "Nothing differs." : sum].join("\n");
}
