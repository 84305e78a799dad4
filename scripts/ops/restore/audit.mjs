// After a restore: puts the audit log's entries back under their numbers. Their hashes are left to the cron: the same
// entries in the same order have the same hashes again, so every head that was published since still holds.
import { keptPages } from "./kept.mjs";
import { insert, rowsOf } from "./tables.mjs";

/** Returns the kept entries' numbers by their ids. */
async function numbers(stage) {
  const kept = new Map();
  for await (const page of keptPages(stage, "audit")) for (const { id, seq } of page) kept.set(id, seq);
  return kept;
}

/** Moves entries that came in since the database was restored behind those that are put back. */
async function moveNewer(sql, kept) {
  const seqs = [...kept.values()].filter((seq) => seq !== undefined);
  const [first, last] = [(a, b) => Math.min(a, b), (a, b) => Math.max(a, b)].map((of) =>
    seqs.reduce(of, seqs[0] ?? 0),
  );
  const rows = await sql("SELECT id, seq FROM audit WHERE seq >= ?1 ORDER BY seq", [first]);
  const newer = rows.filter(({ id }) => !kept.has(id));
  // From the last on, so that each finds its number free. A second run finds them in the same order.
  for (const [i, { id, seq }] of [...newer.entries()].reverse())
    if (seq !== last + 1 + i)
      await sql("UPDATE audit SET seq = ?2 WHERE id = ?1 AND hash IS NULL", [id, last + 1 + i]);
}

/** Puts the kept entries back. Each step can be repeated. */
export async function putBackAudit(sql, stage, notes) {
  const kept = await numbers(stage);
  if (kept.size === 0) return;
  await moveNewer(sql, kept);
  let renumbered = 0;
  for await (const page of keptPages(stage, "audit")) {
    const rows = page.map(({ hash: _, previous_hash: __, ...row }) => row);
    await insert(sql, "audit", rows);
    // A refused attempt that was not chained at that time may have been repeated since.
    await sql(
      "UPDATE audit SET after = n.value ->> 'after' FROM json_each(?1) AS n WHERE audit.id = n.value ->> 'id' AND audit.hash IS NULL AND audit.result = 'refused'",
      [
        JSON.stringify(
          page.filter(({ result }) => result === "refused").map(({ id, after }) => ({ id, after })),
        ),
      ],
    );
    const ids = rows.map(({ id }) => id);
    const there = new Set((await rowsOf(sql, "audit", ids)).map(({ id }) => id));
    const left = rows.filter(({ id }) => !there.has(id)).map(({ seq: _, ...row }) => row);
    await insert(sql, "audit", left);
    renumbered += left.length;
  }
  if (renumbered > 0)
    notes.push(
      `${renumbered} entries of the audit log have new numbers: heads of its chain that were published since do not hold`,
    );
}
