// The official `openai` package with only `baseURL` changed.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: `${process.env.PROXY_URL}/v1`, apiKey: "any" });
const MODELS = JSON.parse(process.env.MODELS);
const MODEL = MODELS.google;
const ask = (content) => [{ role: "user", content }];
const tool = (name, run) => ({
  type: "function",
  function: {
    name,
    description: name,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    ...(run ? { function: run, parse: JSON.parse } : {}),
  },
});

test("models are listed and found", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  for (const model of Object.values(MODELS)) assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});

for (const [provider, model] of Object.entries(MODELS)) {
  test(`${provider}: whole and streamed say the same`, async () => {
    const messages = ask("Say Paris, please");
    const whole = await client.chat.completions.create({ model, messages });
    const streamed = await client.chat.completions.stream({ model, messages }).finalChatCompletion();
    assert.equal(streamed.choices[0].message.content, whole.choices[0].message.content);
    assert.equal(streamed.choices[0].finish_reason, "stop");
  });

  test(`${provider}: the SDK's own tool loop comes to its end`, async () => {
    const seen = [];
    const run = ({ city }) => (seen.push(city), `fine in ${city}`);
    const messages = ask('Use both tools in parallel: get_weather and get_time for "Oslo"');
    const tools = [tool("get_weather", run), tool("get_time", run)];
    const runner = client.chat.completions.runTools({ model, messages, tools, stream: true });
    assert.match(await runner.finalContent(), /fine in Oslo/);
    assert.deepEqual(seen, ["Oslo", "Oslo"]);
  });
}

test("structured output is parsed", async () => {
  const response_format = zodResponseFormat(z.object({ name: z.string(), age: z.number() }), "person");
  const answer = await client.chat.completions.parse({ model: MODEL, messages: ask("Who?"), response_format });
  assert.equal(typeof answer.choices[0].message.parsed.age, "number");
});

test("usage comes when it is asked for", async () => {
  const options = { stream: true, stream_options: { include_usage: true } };
  let usage;
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: ask("Hi"), ...options }))
    usage = chunk.usage ?? usage;
  assert.ok(usage.total_tokens > 0);
});

test("vectors are not empty: base64, the SDK's default, and plain numbers agree", async () => {
  const request = { model: "cohere:embed-v4.0", input: ["a", "b"] };
  const packed = await client.embeddings.create(request);
  const plain = await client.embeddings.create({ ...request, encoding_format: "float" });
  assert.deepEqual(packed.data.map((row) => row.embedding.length), [1536, 1536]);
  packed.data[1].embedding.forEach((x, n) => assert.ok(Math.abs(x - plain.data[1].embedding[n]) < 1e-6));
});

test("responses, whole and streamed", async () => {
  const whole = await client.responses.create({ model: MODEL, input: "Say hello" });
  assert.match(whole.output_text, /hello/);
  const stream = client.responses.stream({ model: MODEL, input: "Say hello" });
  assert.equal((await stream.finalResponse()).output_text, whole.output_text);
});

test("old completions", async () => {
  const answer = await client.completions.create({ model: MODEL, prompt: "Say hello" });
  assert.match(answer.choices[0].text, /hello/);
});

test("an error has its class, message, code and request id", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nobody", messages: ask("Hi") }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.match(error.message, /nobody/);
    assert.ok(error.requestID);
    return true;
  });
});

test("it does not try again where waiting is useless", async () => {
  let tries = 0;
  const counting = client.withOptions({ fetch: (...call) => (tries++, fetch(...call)) });
  const request = { model: `${MODELS.akash}!402`, messages: ask("Hi") };
  await assert.rejects(counting.chat.completions.create(request), OpenAI.APIError);
  assert.equal(tries, 1);
});

test("an error inside a stream throws", async () => {
  const stream = await client.chat.completions.create({ model: `${MODEL}!slow!error-mid`, messages: ask("Hi"), stream: true });
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk.choices);
  }, OpenAI.APIError);
});

test("abort ends a stream", async () => {
  const stream = await client.chat.completions.create({ model: `${MODEL}!slow`, messages: ask("Hi"), stream: true });
  for await (const chunk of stream) if (chunk.choices.length) stream.controller.abort();
  assert.ok(stream.controller.signal.aborted);
});
