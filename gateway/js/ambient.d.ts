// Parts of the Workers runtime that the types of a browser lack.
declare class IdentityTransformStream {
  readable: ReadableStream;
  writable: WritableStream;
}
declare const WebSocketPair: new () => any[];
interface ResponseInit {
  webSocket?: any;
}
