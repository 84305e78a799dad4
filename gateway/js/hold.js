/** A call that lives long renews what it holds, which would be given up after a quarter of an hour. */
const RENEW_MS = 600_000;

/**
 * Keeps the call alive, and what it holds, until the returned function is called.
 * @param {import("./entry.js").Call} call
 */
export function hold({ core, id, ctx }) {
  /** @type {(value?: any) => void} */
  let release;
  ctx.waitUntil(new Promise((resolve) => (release = resolve)));
  const timer = setInterval(() => core.renew(id), RENEW_MS);
  return () => {
    clearInterval(timer);
    release();
  };
}
