/**
 * Listens on this machine and resolves to the port, a free one unless one is given.
 * @param {import("node:net").Server} server
 * @returns {Promise<number>}
 */
export function listen(server, port = 0, host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(port, host, () => {
      const address = /** @type {import("node:net").AddressInfo} */ (server.address());
      resolve(address.port);
    });
  });
}
