// A file of `openapi`, as the build puts it into the script.
declare module "document:*" {
  const text: string;
  export default text;
}
