// The official `ollama` package: every verb, strict about `done`, errors and framing.
import assert from "node:assert/strict";
import test from "node:test";
import { Ollama } from "ollama";

const URL = process.env.PROXY_URL;
const MODEL = "google:gemini-2.5-flash";
const ollama = new Ollama({ host: URL });
const ask = (content) => [{ role: "user", content }];
const TOOLS = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  function: {
    name,
    description: name,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}));

async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

test("version, list, show, ps", async () => {
  assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+$/);
  const { models } = await ollama.list();
  assert.ok(models.some((model) => model.model === MODEL));
  const shown = await ollama.show({ model: MODEL });
  assert.ok(shown.capabilities.includes("tools"));
  await ollama.chat({ model: MODEL, messages: ask("Hi") });
  assert.ok((await ollama.ps()).models.some((model) => model.model === MODEL));
});

test("chat, whole and streamed, says the same", async () => {
  const whole = await ollama.chat({ model: MODEL, messages: ask("서울은 어디에 있나요?") });
  const parts = await all(await ollama.chat({ model: MODEL, messages: ask("서울은 어디에 있나요?"), stream: true }));
  assert.equal(parts.map((part) => part.message.content).join(""), whole.message.content);
  assert.equal(parts.filter((part) => part.done).length, 1);
  assert.ok(parts.at(-1).done && parts.length > 2);
});

test("generate, whole and streamed, with a suffix", async () => {
  const whole = await ollama.generate({ model: MODEL, prompt: "Say hello" });
  assert.match(whole.response, /hello/);
  const parts = await all(await ollama.generate({ model: MODEL, prompt: "Say hello", stream: true }));
  assert.equal(parts.map((part) => part.response).join(""), whole.response);
  const filled = await ollama.generate({ model: "codestral:codestral-latest", prompt: "def add(a, b):\n", suffix: "\n" });
  assert.match(filled.response, /return a \+ b/);
});

for (const stream of [false, true]) {
  test(`a round with tools, stream ${stream}`, async () => {
    const messages = ask('Use both tools in parallel: get_weather and get_time for "Oslo"');
    const answer = await ollama.chat({ model: MODEL, messages, tools: TOOLS, stream });
    const parts = stream ? await all(answer) : [answer];
    const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => call.function.name), ["get_weather", "get_time"]);
    assert.equal(calls[0].function.arguments.city, "Oslo");
    messages.push({ role: "assistant", content: "", tool_calls: calls });
    messages.push({ role: "tool", content: "11 degrees", tool_name: "get_weather" });
    messages.push({ role: "tool", content: "noon", tool_name: "get_time" });
    const last = await ollama.chat({ model: MODEL, messages, tools: TOOLS });
    assert.match(last.message.content, /noon|11 degrees/);
  });
}

test("structured output is JSON", async () => {
  const format = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
  const { message } = await ollama.chat({ model: MODEL, messages: ask("Who?"), format });
  assert.equal(typeof JSON.parse(message.content).name, "string");
});

test("thoughts come apart", async () => {
  const { message } = await ollama.chat({ model: MODEL, messages: ask("Why?"), think: true });
  assert.ok(message.thinking && !message.content.includes("<thought>"));
});

test("an image is seen", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const messages = [{ role: "user", content: "What?", images: [Uint8Array.from(Buffer.from(png, "base64"))] }];
  assert.match((await ollama.chat({ model: MODEL, messages })).message.content, /image\/png/);
});

test("embed and the old embeddings", async () => {
  const { embeddings } = await ollama.embed({ model: "cohere:embed-v4.0", input: ["a", "b"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [1536, 1536]);
  const { embedding } = await ollama.embeddings({ model: "cohere:embed-v4.0", prompt: "a" });
  assert.equal(embedding.length, 1536);
});

test("pull, copy, create, delete, whole and streamed", async () => {
  assert.equal((await ollama.pull({ model: MODEL })).status, "success");
  assert.equal((await all(await ollama.pull({ model: MODEL, stream: true }))).at(-1).status, "success");
  await ollama.copy({ source: MODEL, destination: "npm-copy" });
  const made = await ollama.create({ model: "npm-made", from: MODEL, system: "Be brief.", stream: true });
  assert.equal((await all(made)).at(-1).status, "success");
  const names = (await ollama.list()).models.map((model) => model.name);
  assert.ok(names.includes("npm-copy") && names.includes("npm-made"));
  assert.equal((await ollama.delete({ model: "npm-copy" })).status, "success");
  await ollama.delete({ model: "npm-made" });
});

test("errors carry their text and status", async () => {
  await assert.rejects(ollama.chat({ model: "nobody", messages: ask("Hi") }), (error) => {
    assert.equal(error.message, "model 'nobody' not found");
    assert.equal(error.status_code, 404);
    return true;
  });
});

test("an error inside a stream throws", async () => {
  const stream = await ollama.chat({ model: `${MODEL}!slow!error-mid`, messages: ask("Hi"), stream: true });
  await assert.rejects(all(stream), /./);
});

test("abort ends a stream", async () => {
  const own = new Ollama({ host: URL });
  const stream = await own.chat({ model: `${MODEL}!slow`, messages: ask("Tell me much more"), stream: true });
  await assert.rejects(async () => {
    for await (const part of stream) if (!part.done) own.abort();
  }, { name: "AbortError" });
});
