// The official `@anthropic-ai/sdk` package with only `baseURL` changed.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.PROXY_URL, apiKey: "any" });
const MODELS = JSON.parse(process.env.MODELS);
const MODEL = MODELS.google;
const ask = (content) => [{ role: "user", content }];
const tool = (name) => ({
  name,
  description: name,
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
});
const text = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");

for (const [provider, model] of Object.entries(MODELS)) {
  test(`${provider}: whole and streamed say the same`, async () => {
    const request = { model, max_tokens: 500, system: "Be brief.", messages: ask("Say Paris, please") };
    const whole = await client.messages.create(request);
    assert.equal(whole.type, "message");
    assert.equal(whole.stop_reason, "end_turn");
    const stream = client.messages.stream(request);
    let heard = "";
    stream.on("text", (delta) => (heard += delta));
    assert.equal(text(await stream.finalMessage()), text(whole));
    assert.equal(heard, text(whole));
  });

  test(`${provider}: a round with tools, streamed`, async () => {
    const messages = ask('Use both tools in parallel: get_weather and get_time for "Oslo"');
    const request = { model, max_tokens: 500, messages, tools: [tool("get_weather"), tool("get_time")] };
    const first = await client.messages.stream(request).finalMessage();
    const uses = first.content.filter((block) => block.type === "tool_use");
    assert.equal(first.stop_reason, "tool_use");
    assert.deepEqual(uses.map((use) => [use.name, use.input.city]), [["get_weather", "Oslo"], ["get_time", "Oslo"]]);
    const results = uses.map((use) => ({ type: "tool_result", tool_use_id: use.id, content: `fine, ${use.name}` }));
    messages.push({ role: "assistant", content: first.content }, { role: "user", content: results });
    assert.match(text(await client.messages.create(request)), /fine, get_/);
  });
}

test("thoughts are blocks of their own", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const request = { model: MODEL, max_tokens: 4000, thinking, messages: ask("Why?") };
  const message = await client.messages.stream(request).finalMessage();
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
});

test("an image is seen", async () => {
  const data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const content = [
    { type: "image", source: { type: "base64", media_type: "image/png", data } },
    { type: "text", text: "What is it?" },
  ];
  assert.match(text(await client.messages.create({ model: MODEL, max_tokens: 500, messages: ask(content) })), /image\/png/);
});

test("tokens are counted", async () => {
  assert.ok((await client.messages.countTokens({ model: MODEL, messages: ask("Hi there") })).input_tokens > 0);
});

test("an error has its class, type and request id", async () => {
  const asked = client.messages.create({ model: "nobody", max_tokens: 5, messages: ask("Hi") });
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError);
    assert.equal(error.error.error.type, "not_found_error");
    assert.ok(error.requestID);
    return true;
  });
});

test("it does not try again where waiting is useless", async () => {
  let tries = 0;
  const counting = client.withOptions({ fetch: (...call) => (tries++, fetch(...call)) });
  const request = { model: `${MODELS.akash}!402`, max_tokens: 5, messages: ask("Hi") };
  await assert.rejects(counting.messages.create(request), Anthropic.APIError);
  assert.equal(tries, 1);
});

test("an error inside a stream throws", async () => {
  const stream = client.messages.stream({ model: `${MODEL}!slow!error-mid`, max_tokens: 50, messages: ask("Hi") });
  await assert.rejects(stream.finalMessage(), Anthropic.APIError);
});

test("a browser lets a page send all that the SDK sends", async () => {
  let sent;
  const spy = (url, init) => ((sent = init.headers), fetch(url, init));
  const page = client.withOptions({ fetch: spy, dangerouslyAllowBrowser: true });
  const request = { model: MODEL, max_tokens: 5, messages: ask("Hi"), betas: ["context-1m-2025-08-07"] };
  await page.beta.messages.create(request);
  const preflight = await fetch(`${process.env.PROXY_URL}/v1/messages`, {
    method: "OPTIONS",
    headers: { origin: "http://localhost:3000", "access-control-request-method": "POST" },
  });
  assert.equal(preflight.status, 204);
  const allowed = preflight.headers.get("access-control-allow-headers").toLowerCase().split(",");
  const names = [...new Headers(sent).keys()];
  assert.ok(names.includes("anthropic-dangerous-direct-browser-access"));
  assert.deepEqual(names.filter((name) => !allowed.includes(name)), []);
});
