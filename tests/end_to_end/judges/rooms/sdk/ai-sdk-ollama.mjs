// AI SDK 7 with ai-sdk-ollama, which speaks by the official ollama package and matches results by `tool_name`.
import assert from "node:assert/strict";
import test from "node:test";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ai-sdk-ollama";
import { z } from "zod";

const ollama = createOllama({ baseURL: process.env.PROXY_URL });
const MODELS = JSON.parse(process.env.MODELS);
const seen = [];
const make = (name) =>
  tool({
    description: name,
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (seen.push(name), `fine in ${city}`),
  });
const tools = { get_weather: make("get_weather"), get_time: make("get_time") };

for (const [provider, id] of Object.entries(MODELS)) {
  test(`${provider}: whole and streamed say the same`, async () => {
    const request = { model: ollama(id), prompt: "Say Paris, please" };
    const whole = await generateText(request);
    assert.equal(whole.finishReason, "stop");
    assert.equal(await streamText(request).text, whole.text);
    assert.ok(whole.usage.totalTokens > 0);
  });

  for (const stream of [false, true]) {
    test(`${provider}: its tool loop comes to its end, stream ${stream}`, async () => {
      seen.length = 0;
      const prompt = 'Use both tools in parallel: get_weather and get_time for "Oslo"';
      const request = { model: ollama(id), prompt, tools, stopWhen: stepCountIs(4) };
      const text = stream ? await streamText(request).text : (await generateText(request)).text;
      assert.match(text, /fine in Oslo/);
      assert.deepEqual(seen, ["get_weather", "get_time"]);
    });
  }
}

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
