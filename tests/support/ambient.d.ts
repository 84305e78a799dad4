// Names that the type check of JavaScript cannot find: the runtime's own module, and axe in a page.
declare module "cloudflare:workers" {
  export class WorkerEntrypoint {
    env: any;
    ctx: any;
  }
}

interface Window {
  axe: any;
}
