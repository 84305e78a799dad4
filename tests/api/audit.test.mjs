// The audit log proves itself: the cron chains it, an export is verified offline, and tampering is named
// (docs/audit-log.md).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { as, eventually, startOnSockets } from "../support/harness.mjs";
import { root, targetDir } from "../../scripts/setup.mjs";

const LIST = "/api/dashboard/audit-logs";
const MONTH = 30 * 86_400_000;
const SCRIPT = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).scripts[
  "audit:verify"
].split(" ");
const folder = mkdtempSync(path.join(tmpdir(), "audit-"));
let system;
before(
  async () => {
    const [cargo, ...args] = SCRIPT;
    await promisify(execFile)(cargo, [...args, "--help"], { cwd: root }).catch(() => {});
    system = await startOnSockets({ faults: true });
  },
  // The command is compiled here, and run as cargo left it from then on: each `cargo` waits for other builds.
  { timeout: 580_000 },
);
after(() => system?.stop());

const ask = (where, method = "GET", body, user = "admin") => as(system, user, method, where, body);
const hashOf = (previous, json) =>
  createHash("sha256").update(Buffer.from(previous, "hex")).update(json).digest("hex");
const headOf = async () => (await ask(`${LIST}?limit=1`)).body.head;
const text = ({ seq, hash }) => `${seq}:${hash}`;
const all = async (sql, ...values) =>
  (
    await system.db
      .prepare(sql)
      .bind(...values)
      .all()
  ).results;
const change = (name) =>
  ask("/api/tokens", "POST", { name, team_id: "automation", scopes: ["*"] }).then(({ status }) =>
    assert.equal(status, 201),
  );

/** Runs the cron until every entry is chained. */
const chained = () =>
  eventually(async () => {
    await system.cron();
    return (await all("SELECT 1 FROM audit WHERE hash IS NULL")).length === 0;
  }, 90_000);

async function exported(query = "", user = "admin") {
  const response = await system.call(`${LIST}/export${query}`, {
    headers: { authorization: `Bearer ${system.jwt(user)}` },
  });
  assert.equal(response.status, 200);
  return response.text();
}

/** Returns what the program of `npm run audit:verify` prints, and its exit code. */
async function verify(csv, ...options) {
  const file = path.join(folder, "audit.csv");
  writeFileSync(file, csv);
  const [profile, name] = ["--profile", "--package"].map((option) => SCRIPT[SCRIPT.indexOf(option) + 1]);
  const program = path.join(targetDir, profile, name);
  try {
    const { stdout } = await promisify(execFile)(program, [file, ...options], { cwd: root });
    return { code: 0, stdout };
  } catch (error) {
    return { code: error.code, stdout: error.stdout + error.stderr };
  }
}

/** Rewrites entries as somebody who owns the database can. */
async function tamper(...statements) {
  const triggers = await all(
    "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'",
  );
  assert.equal(triggers.length, 2);
  await system.db.batch(
    [
      ...triggers.map(({ name }) => `DROP TRIGGER ${name}`),
      ...statements,
      ...triggers.map(({ sql }) => sql),
    ].map((sql) => system.db.prepare(sql)),
  );
}

test("an entry is chained by the next run of the cron, and the head is in every response, the health report and the log", async () => {
  await change("first");
  const waiting = (await ask(`${LIST}?limit=1`)).body;
  assert.deepEqual([waiting.items[0].hash, waiting.head], [null, null]);
  await system.cron();
  await change("second");
  await system.cron();
  const { items, head } = (await ask(LIST)).body;
  assert.deepEqual([items[0].seq, items[0].id, items[0].hash], [head.seq, head.id, head.hash]);
  assert.equal(items[0].previous_hash, items[1].hash);
  assert.equal(items.at(-1).previous_hash, "0".repeat(64), "before the first entry");
  // Each entry, as the API returns it, has the hash that the documents describe.
  for (const { actor_name: _, previous_hash, hash, ...members } of items) {
    const entry = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
    assert.equal(hashOf(previous_hash, canonical(entry)), hash);
  }
  assert.ok((await exported()).includes(`${head.seq},,${head.hash}`));
  await eventually(() => system.logs().includes(`head ${text(head)}`), 5_000, "the log");
  await eventually(async () => {
    const { checks } = await (await system.call("/health/detailed")).json();
    return checks.find(({ name }) => name === "audit")?.note === `chained up to ${text(head)}`;
  }, 15_000);
});

/** Canonical JSON (RFC 8785) of whole numbers and text. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

test("an entry costs a row in the table and in each index, and one more for its hash", async () => {
  await change("counted");
  await chained();
  const { rows } = await system.strictness();
  const written = (part) => Object.entries(rows).filter(([sql]) => sql.includes(part));
  const [[, insert]] = written(
    "INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id)\nSELECT ?1",
  );
  const [[, chain]] = written("UPDATE audit SET previous_hash");
  const entries = (
    await all("SELECT count(*) AS n FROM audit WHERE result = 'done' AND actor <> 'system'")
  )[0].n;
  const hashes = (await all("SELECT count(*) AS n FROM audit WHERE hash IS NOT NULL"))[0].n;
  assert.deepEqual(
    [insert / entries, chain / hashes],
    [6, 1],
    JSON.stringify({ insert, entries, chain, hashes }),
  );
});

test("a run that breaks off in the middle loses nothing: the next one continues", async () => {
  const before = await headOf();
  await Promise.all(["a", "b", "c"].map(change));
  await system.db
    .prepare(
      `CREATE TRIGGER breaks BEFORE UPDATE ON audit WHEN NEW.seq = ${before.seq + 2} BEGIN SELECT RAISE(ABORT, 'broken off'); END`,
    )
    .run();
  await system.cron();
  await eventually(() => system.logs().includes("audit log not chained"), 5_000, "the log");
  assert.deepEqual(await headOf(), before);
  assert.equal((await all("SELECT 1 FROM audit WHERE seq > ? AND hash IS NOT NULL", before.seq)).length, 0);
  await system.db.prepare("DROP TRIGGER breaks").run();
  await chained();
  assert.equal((await headOf()).seq, before.seq + 3);
  assert.equal((await verify(await exported())).code, 0);
});

test(
  "an export is verified by the command, and each kind of tampering with the database is named",
  { timeout: 300_000 },
  async () => {
    await change("=1+1, '=2");
    await ask("/api/routes", "POST", {}, "viewer");
    await chained();
    const head = await headOf();
    const whole = await exported();
    const fine = await verify(whole, "--head", text(head));
    assert.deepEqual(
      [
        fine.code,
        /ok: everything is as it was written, from the start up to the given head/.test(fine.stdout),
      ],
      [0, true],
      fine.stdout,
    );
    const tokens = await exported("?entity=token");
    /** @type {[string[], number, RegExp][]} */
    const cases = [
      [[], 0, /a part of the log[^]*ok: each entry agrees with its own hash/],
      [[`--head=${head.hash}`], 2, /NOT PROVEN: .* does not contain the given head/],
    ];
    for (const [options, wanted, said] of cases) {
      const part = await verify(tokens, ...options);
      assert.deepEqual([part.code, said.test(part.stdout)], [wanted, true], part.stdout);
    }

    const rows = await all("SELECT * FROM audit ORDER BY seq");
    const restore = async () => {
      const { seq: _, ...columns } = rows[0];
      const names = ["seq", ...Object.keys(columns)];
      await tamper("DELETE FROM audit");
      await system.db.batch(
        rows.map((row) =>
          system.db
            .prepare(`INSERT INTO audit (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
            .bind(...names.map((name) => row[name])),
        ),
      );
    };
    const [second, third] = rows.slice(1, 3);
    const columns =
      "at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id, previous_hash, hash";
    const expect = async (statements, wanted, ...options) => {
      await tamper(...statements);
      const { code, stdout } = await verify(await exported(), ...options);
      assert.deepEqual([code, wanted.test(stdout)], [1, true], `${statements}\n${stdout}`);
      await restore();
    };
    await expect(
      ["UPDATE audit SET actor = 'user_other' WHERE seq = 2"],
      new RegExp(`entry 2 \\(${second.id}, line \\d+\\) was changed`),
    );
    await expect(
      [`UPDATE audit SET hash = '${"z".repeat(64)}' WHERE seq = 2`],
      new RegExp(`entry 2 \\(${second.id}, line \\d+\\) was changed`),
    );
    await expect(["DELETE FROM audit WHERE seq = 2"], /entry 2 was removed/);
    await expect(["DELETE FROM audit WHERE seq = 1"], /entry 1 was removed/);
    await expect(
      [
        "UPDATE audit SET seq = -seq WHERE seq > 2",
        `INSERT INTO audit (seq, id, ${columns}) SELECT 3, 'aud_forged', ${columns} FROM audit WHERE seq = 2`,
        "UPDATE audit SET seq = 1 - seq WHERE seq < 0",
      ],
      /entry 3 \(aud_forged, line \d+\) was inserted/,
    );
    await expect(
      [
        "UPDATE audit SET seq = -2 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = -2",
      ],
      new RegExp(`entries 2 \\(${third.id}\\) and 3 \\(${second.id}\\) have changed places`),
    );
    await expect(
      [`DELETE FROM audit WHERE seq > ${head.seq - 2}`],
      new RegExp(`the newest entry is ${head.seq - 2}, and the head is entry ${head.seq}`),
    );

    // Chained again from the first change on, with a head of its own.
    await tamper(
      "UPDATE audit SET actor = 'user_other' WHERE seq = 2",
      "UPDATE audit SET hash = NULL",
      "DELETE FROM settings WHERE key = 'audit-head'",
    );
    await chained();
    const again = await exported();
    assert.equal((await verify(again)).code, 0, "the file agrees with itself");
    const unmasked = await verify(again, "--head", text(head));
    assert.deepEqual(
      [
        unmasked.code,
        unmasked.stdout.includes(`entry ${head.seq} (${head.id}) has another hash than the head`),
      ],
      [1, true],
      unmasked.stdout,
    );

    // It says that it begins behind the head that others kept.
    const cut = JSON.stringify({ seq: 0, id: "", hash: head.hash });
    await tamper(`INSERT INTO settings (key, value, updated_at) VALUES ('audit-cut', '${cut}', 0)`);
    const begun = await verify(await exported(), "--head", text(head));
    assert.deepEqual([begun.code, /the line start is false/.test(begun.stdout)], [1, true], begun.stdout);
    await tamper("DELETE FROM settings WHERE key = 'audit-cut'");

    // A cut end is noticed by the system itself.
    await tamper(`DELETE FROM audit WHERE seq = ${head.seq}`);
    await system.cron();
    await eventually(
      () => system.logs().includes(`entry ${head.seq}, chained last, is gone or changed`),
      5_000,
      "the log",
    );
    await eventually(async () => {
      const { checks } = await (await system.call("/health/detailed")).json();
      return checks.find(({ name }) => name === "audit")?.status === "degraded";
    }, 15_000);
    await system.db.prepare("DELETE FROM settings WHERE key = 'audit-head'").run();
    await restore();
    await system.db
      .prepare("INSERT INTO settings (key, value, updated_at) VALUES ('audit-head', ?, 0)")
      .bind(JSON.stringify(head))
      .run();
    assert.equal((await verify(await exported(), "--head", text(head))).code, 0);
  },
);

test("retention cuts the front, and the rest is still verified", async () => {
  const days = async (seq, at) => tamper(`UPDATE audit SET hash = NULL WHERE seq >= ${seq}`, ...at);
  await days(1, [
    `UPDATE audit SET at = ${Date.now() - 15 * MONTH} WHERE seq <= 3`,
    "DELETE FROM settings WHERE key = 'audit-head'",
  ]);
  await chained();
  await eventually(async () => {
    await system.cron();
    return (await all("SELECT min(seq) AS n FROM audit"))[0].n === 4;
  });
  const head = await headOf();
  const { code, stdout } = await verify(await exported(), "--head", text(head));
  assert.equal(code, 0, stdout);
  const [, start] = /start: (3:[0-9a-f]{64})\noldest entry: \d{4}-/.exec(stdout);
  const older = await verify(await exported(), "--head", start);
  assert.deepEqual([older.code, /proves no entry in this file/.test(older.stdout)], [2, true], older.stdout);
  const { items } = (await ask(`${LIST}?limit=200`)).body;
  assert.match(items.at(-1).previous_hash, /^[0-9a-f]{64}$/, "the hash before the cut is kept");
});

test("what cannot be checked is said: a usage line, a wrong head, another file", async () => {
  const csv = await exported();
  assert.equal((await verify("a,b\r\n1,2\r\n")).code, 1);
  assert.deepEqual([(await verify(csv, "--head", "x")).code, (await verify(csv, "--heads")).code], [2, 2]);
  assert.equal((await verify(csv.split("\r\n").slice(0, 4).join("\r\n"))).code, 1, "it breaks off");
});

test("a hundred thousand entries are verified in under five seconds", { timeout: 120_000 }, async (t) => {
  const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const lines = [];
  let previous = "0".repeat(64);
  for (let seq = 1; seq <= 100_000; seq++) {
    const at = 1_790_000_000_000 + seq * 250;
    const after = { name: `Digest ${seq}`, scopes: ["*", "GET /api/x"], version: seq };
    const entry = {
      action: "update-token",
      actor: "user_admin",
      after,
      at,
      entity: "token",
      entity_id: `tok_${seq}`,
      id: `aud_${seq}`,
      request_id: `req_${seq}`,
      result: "done",
      seq,
      team_id: "automation",
    };
    const hash = hashOf(previous, JSON.stringify(entry));
    const cells = [
      new Date(at).toISOString(),
      entry.id,
      entry.actor,
      "Ada",
      entry.action,
      "done",
      "token",
      entry.entity_id,
      "automation",
      "",
      JSON.stringify(after),
      "",
      entry.request_id,
      String(seq),
      previous,
      hash,
    ];
    lines.push(cells.map(quoted).join(","));
    previous = hash;
  }
  const head =
    "time,id,actor,actor_name,action,result,entity,entity_id,team_id,before,after,client_ip,request_id,seq,previous_hash,hash";
  const end = (word, seq, hash) =>
    [word, "", "", "", "", "", "", "", "", "", "", "", "", seq, "", hash].join(",");
  const csv = [
    `\ufeff${head}`,
    ...lines.reverse(),
    end("head", 100_000, previous),
    end("start", 0, "0".repeat(64)),
    "",
  ].join("\r\n");
  const begin = performance.now();
  const { code, stdout } = await verify(csv, "--head", `100000:${previous}`);
  const seconds = (performance.now() - begin) / 1_000;
  assert.deepEqual([code, /100000 entries, 0 of them/.test(stdout)], [0, true], stdout);
  t.diagnostic(`${seconds.toFixed(1)} s for ${csv.length} bytes`);
  assert.ok(seconds < 5, `${seconds} s`);
});

test("the published vectors hold in another language", async () => {
  const python = promisify(execFile)("python3", [path.join(root, "tests/support/audit_chain.py")]);
  createReadStream(path.join(root, "docs/audit-log-vectors.json")).pipe(python.child.stdin);
  const vectors = JSON.parse(readFileSync(path.join(root, "docs/audit-log-vectors.json"), "utf8"));
  assert.equal((await python).stdout.trim(), String(vectors.length));
});
