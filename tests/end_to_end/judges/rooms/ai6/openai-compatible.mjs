// AI SDK 6 with @ai-sdk/openai-compatible, the way of OpenCode and many others.
import assert from "node:assert/strict";
import test from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText } from "ai";
import { z } from "zod";
import { judge, MODELS } from "./ai-sdk.mjs";

const baseURL = `${process.env.PROXY_URL}/v1`;
const provider = createOpenAICompatible({ name: "proxy", baseURL, includeUsage: true, supportsStructuredOutputs: true });
judge((id) => provider(id));

test("structured output", async () => {
  const schema = z.object({ name: z.string() });
  const { object } = await generateObject({ model: provider(MODELS.google), prompt: "Who?", schema });
  assert.equal(typeof object.name, "string");
});

test("embeddings", async () => {
  const model = provider.textEmbeddingModel("cohere:embed-v4.0");
  const { embeddings } = await embedMany({ model, values: ["a", "b"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [1536, 1536]);
});

test("an unknown model is an error with its text", async () => {
  const asked = generateText({ model: provider("nobody"), prompt: "Hi", maxRetries: 0 });
  await assert.rejects(asked, /nobody/);
});
