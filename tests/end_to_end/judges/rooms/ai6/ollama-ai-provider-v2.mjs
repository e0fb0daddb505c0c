// AI SDK 6 with ollama-ai-provider-v2: its own fetch, zod-strict answers, results by `tool_call_id`.
import assert from "node:assert/strict";
import test from "node:test";
import { embedMany, generateObject, generateText } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import { z } from "zod";
import { judge, MODELS } from "./ai-sdk.mjs";

const ollama = createOllama({ baseURL: `${process.env.PROXY_URL}/api` });
judge((id) => ollama(id));

test("structured output", async () => {
  const schema = z.object({ name: z.string() });
  const { object } = await generateObject({ model: ollama(MODELS.google), prompt: "Who?", schema });
  assert.equal(typeof object.name, "string");
});

// As text: a Buffer goes out as an object, which Ollama refuses too.
test("an image alone, as an empty list of content", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const messages = [{ role: "user", content: [{ type: "image", image: png, mediaType: "image/png" }] }];
  assert.match((await generateText({ model: ollama(MODELS.google), messages })).text, /image\/png/);
});

test("generate, whose context is a list of numbers", async () => {
  const { text } = await generateText({ model: ollama.completion(MODELS.google), prompt: "Say hello" });
  assert.match(text, /hello/);
});

test("embeddings, with all four of its numbers", async () => {
  const model = ollama.textEmbeddingModel("cohere:embed-v4.0");
  const { embeddings } = await embedMany({ model, values: ["a", "b"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [1536, 1536]);
});

test("an unknown model is an error", async () => {
  await assert.rejects(generateText({ model: ollama("nobody"), prompt: "Hi", maxRetries: 0 }), /./);
});
