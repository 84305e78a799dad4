// Names that the type check of JavaScript cannot find: the runtime's own module, and axe in a page.
declare module "cloudflare:workers" {
  export const env: any;
  export class WorkerEntrypoint {
    env: any;
    ctx: any;
  }
}

declare class FixedLengthStream extends TransformStream {
  constructor(length: number);
}

interface Window {
  axe: any;
}
