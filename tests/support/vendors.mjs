// Stand-ins for the APIs of OpenAI, Anthropic, Google, Groq and CloudConvert, with responses in the vendors' shapes. Each
// refuses a call that does not carry the vendor's own key, or that carries a token of the gateway.
import { createServer } from "node:http";
import { listen } from "../../local/listen.mjs";

export const KEYS = {
  openai: "sk-vendor",
  anthropic: "sk-ant-vendor",
  google: "AIza-vendor",
  groq: "gsk-vendor",
  cloudconvert: "cc-vendor",
};
/** A key that every vendor has too many calls of. */
export const BUSY = "busy-vendor";

const json = (response, value, status = 200) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
const sse = (response, events) => {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  for (const event of events) {
    response.write(
      `${event.type ? `event: ${event.type}\n` : ""}data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`,
    );
  }
  response.end();
};

const chatUsage = {
  prompt_tokens: 19,
  completion_tokens: 10,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 7, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 4,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
};
const responsesUsage = {
  input_tokens: 36,
  input_tokens_details: { cached_tokens: 12 },
  output_tokens: 87,
  output_tokens_details: { reasoning_tokens: 64 },
  total_tokens: 123,
};

function openaiResponse(model, text) {
  const output = [
    {
      id: "msg_1",
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text, annotations: [] }],
    },
  ];
  return {
    id: "resp_1",
    object: "response",
    created_at: 1741476542,
    status: "completed",
    error: null,
    model,
    output,
    tools: [],
    usage: responsesUsage,
  };
}

const openai = {
  "GET /v1/models": ({ response }) =>
    json(response, {
      object: "list",
      data: [{ id: "gpt-4o", object: "model", created: 1686935002, owned_by: "openai" }],
    }),
  "POST /v1/chat/completions": ({ response, asked }) => {
    const base = {
      id: "chatcmpl-1",
      created: 1741569952,
      model: `${asked.model}-2024-08-06`,
      service_tier: "default",
      system_fingerprint: "fp_1",
    };
    if (!asked.stream) {
      const choices = [
        {
          index: 0,
          message: { role: "assistant", content: "Hello", refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: "stop",
        },
      ];
      return json(response, { ...base, object: "chat.completion", choices, usage: chatUsage });
    }
    const chunk = (choices, usage = null) => ({ ...base, object: "chat.completion.chunk", choices, usage });
    const delta = (content, finish_reason = null) =>
      chunk([{ index: 0, delta: { role: "assistant", content }, logprobs: null, finish_reason }]);
    const last = asked.stream_options?.include_usage ? [chunk([], chatUsage)] : [];
    sse(response, [delta("Hel"), delta("lo"), delta("", "stop"), ...last, "[DONE]"]);
  },
  "POST /v1/responses": ({ response, asked }) => {
    const whole = openaiResponse(asked.model, "Hello");
    if (!asked.stream) return json(response, whole);
    const begun = { ...whole, status: "in_progress", output: [], usage: null };
    const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
    const events = [
      { type: "response.created", response: begun },
      {
        type: "response.output_item.added",
        output_index: 0,
        item: { ...whole.output[0], status: "in_progress", content: [] },
      },
      {
        type: "response.content_part.added",
        ...at,
        part: { type: "output_text", text: "", annotations: [] },
      },
      { type: "response.output_text.delta", ...at, delta: "Hello" },
      { type: "response.output_text.done", ...at, text: "Hello" },
      { type: "response.output_item.done", output_index: 0, item: whole.output[0] },
      { type: "response.completed", response: whole },
    ];
    sse(
      response,
      events.map((event, sequence_number) => ({ ...event, sequence_number })),
    );
  },
  "POST /v1/embeddings": ({ response, asked }) => {
    const numbers = [0.5, -0.25, 1];
    const embedding =
      asked.encoding_format === "base64"
        ? Buffer.from(new Float32Array(numbers).buffer).toString("base64")
        : numbers;
    json(response, {
      object: "list",
      data: [{ object: "embedding", index: 0, embedding }],
      model: asked.model,
      usage: { prompt_tokens: 8, total_tokens: 8 },
    });
  },
  "POST /v1/files": ({ response, body, headers }) => {
    if (!headers["content-type"].startsWith("multipart/form-data; boundary="))
      return json(response, { error: { message: "no form" } }, 400);
    const [, bytes] = /filename="a.jsonl"\r\n(?:.*\r\n)*\r\n([^]*?)\r\n--/.exec(body.toString()) ?? [];
    json(response, {
      id: "file-1",
      object: "file",
      bytes: bytes?.length ?? 0,
      created_at: 1677610602,
      filename: "a.jsonl",
      purpose: "fine-tune",
      status: "processed",
    });
  },
  "POST /v1/audio/speech": ({ response }) =>
    response.writeHead(200, { "content-type": "audio/mpeg" }).end(Buffer.from([0xff, 0xfb, 0x90, 0x00])),
  /** Refuses the first call as too busy, for the moment given in `retry-after-ms`. */
  "POST /v1/moderations": ({ response, retried }) => {
    if (!retried)
      return response
        .writeHead(429, { "content-type": "application/json", "retry-after-ms": "5" })
        .end('{"error":{"message":"busy"}}');
    json(response, {
      id: "modr-1",
      model: "omni-moderation-latest",
      results: [{ flagged: false, categories: {}, category_scores: {} }],
    });
  },
};

const messageUsage = {
  input_tokens: 25,
  cache_creation_input_tokens: 3,
  cache_read_input_tokens: 5,
  output_tokens: 15,
  service_tier: "standard",
};

const anthropic = {
  "POST /v1/messages": ({ response, asked }) => {
    const message = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: asked.model,
      stop_sequence: null,
    };
    const content = [{ type: "text", text: "Hello" }];
    if (!asked.stream)
      return json(response, { ...message, content, stop_reason: "end_turn", usage: messageUsage });
    sse(response, [
      {
        type: "message_start",
        message: { ...message, content: [], stop_reason: null, usage: { ...messageUsage, output_tokens: 1 } },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "ping" },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: { output_tokens: messageUsage.output_tokens },
      },
      { type: "message_stop" },
    ]);
  },
  "POST /v1/messages/count_tokens": ({ response }) => json(response, { input_tokens: 2095 }),
  "GET /v1/models": ({ response }) =>
    json(response, {
      data: [
        {
          type: "model",
          id: "claude-sonnet-4-20250514",
          display_name: "Claude Sonnet 4",
          created_at: "2025-02-19T00:00:00Z",
        },
      ],
      has_more: false,
      first_id: null,
      last_id: null,
    }),
};

const usageMetadata = {
  promptTokenCount: 11,
  candidatesTokenCount: 6,
  totalTokenCount: 57,
  cachedContentTokenCount: 4,
  promptTokensDetails: [{ modality: "TEXT", tokenCount: 11 }],
  thoughtsTokenCount: 40,
};
const candidate = (text, more = {}) => ({
  candidates: [{ content: { parts: [{ text }], role: "model" }, index: 0, ...more }],
  modelVersion: "gemini-2.5-flash",
  responseId: "r1",
});

const google = {
  "GET /v1beta/models": ({ response }) =>
    json(response, {
      models: [
        { name: "models/gemini-2.5-flash", displayName: "Gemini 2.5 Flash", inputTokenLimit: 1048576 },
      ],
    }),
  "POST /v1beta/models/gemini-2.5-flash:generateContent": ({ response }) =>
    json(response, { ...candidate("Hello", { finishReason: "STOP" }), usageMetadata }),
  "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent": ({ response }) => {
    const first = { promptTokenCount: 11, totalTokenCount: 11 };
    sse(response, [
      { ...candidate("Hel"), usageMetadata: first },
      { ...candidate("lo", { finishReason: "STOP" }), usageMetadata },
    ]);
  },
};

/** Groq's API is OpenAI's, at another path. */
const groq = Object.fromEntries(
  ["GET /v1/models", "POST /v1/chat/completions"].map((call) => [
    call.replace("/v1", "/openai/v1"),
    openai[call],
  ]),
);

const cloudconvert = {
  "GET /v2/users/me": ({ response }) =>
    json(response, { data: { id: 1, username: "someone", email: "a@b.example", credits: 4434 } }),
};

const bearer =
  (vendor) =>
  ({ authorization, ...others }) =>
    authorization === `Bearer ${KEYS[vendor]}` && others;

/** Returns a call's other headers, by vendor; false if it does not carry the vendor's own key. */
const carried = {
  openai: bearer("openai"),
  groq: bearer("groq"),
  cloudconvert: bearer("cloudconvert"),
  anthropic: ({ "x-api-key": key, ...others }) => key === KEYS.anthropic && others,
  google: ({ "x-goog-api-key": key, ...others }) => key === KEYS.google && others,
};

/** Starts all on one port, each below its name, such as `/openai`. */
export async function startVendors() {
  const vendors = { openai, anthropic, google, groq, cloudconvert };
  const seen = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const url = new URL(request.url, "http://vendor");
    const [, vendor, where] = /^\/(\w+)(\/.*)$/.exec(url.pathname) ?? [];
    if (JSON.stringify(request.headers).includes(BUSY)) {
      response.setHeader("retry-after", "30");
      return json(response, { error: { message: "too many calls" } }, 429);
    }
    const others = carried[vendor]?.(request.headers);
    if (!others || /ntk_/.test(JSON.stringify([others, request.url])))
      return json(response, { error: { message: "not with this key", headers: request.headers } }, 401);
    const handler = vendors[vendor][`${request.method} ${where}`];
    const retried = seen.some((call) => call.url === request.url);
    seen.push({ url: request.url, headers: request.headers });
    if (!handler) return json(response, { error: { message: `no ${request.method} ${where}` } }, 404);
    const asked =
      body.length > 0 && request.headers["content-type"].startsWith("application/json")
        ? JSON.parse(body.toString())
        : undefined;
    handler({ response, body, asked, headers: request.headers, retried });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () => (server.closeAllConnections(), server.close()),
  };
}
