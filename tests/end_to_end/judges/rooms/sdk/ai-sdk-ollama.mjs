// AI SDK 7 with ai-sdk-ollama, which speaks by the official ollama package and matches results by `tool_name`.
import assert from "node:assert/strict";
import test from "node:test";
import { embedMany, generateText, Output } from "ai";
import { createOllama } from "ai-sdk-ollama";
import { z } from "zod";
import { judge, MODELS } from "./ai-sdk.mjs";

const ollama = createOllama({ baseURL: process.env.PROXY_URL });
judge((id) => ollama(id));

test("structured output", async () => {
  const output = Output.object({ schema: z.object({ name: z.string() }) });
  const answer = await generateText({ model: ollama(MODELS.google), prompt: "Who?", output });
  assert.equal(typeof answer.output.name, "string");
});

test("thoughts come apart", async () => {
  const answer = await generateText({ model: ollama(MODELS.google, { think: true }), prompt: "Why?" });
  assert.ok(answer.reasoningText && !answer.text.includes("<thought>"));
});

test("embeddings", async () => {
  const { embeddings } = await embedMany({ model: ollama.embedding("cohere:embed-v4.0"), values: ["a", "b"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [1536, 1536]);
});

test("an unknown model is an error with its text", async () => {
  const asked = generateText({ model: ollama("nobody"), prompt: "Hi", maxRetries: 0 });
  await assert.rejects(asked, /nobody/);
});
