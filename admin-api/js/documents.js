// The API's documents. The script holds them, since the program would carry them in its memory from its start.
import page from "document:docs.html";
import schema from "document:config.schema.json";
import description from "document:openapi.json";

export const describe = () => new Response(description);
export const describeConfig = () => new Response(schema);
export const describeAsPage = () => new Response(page);
