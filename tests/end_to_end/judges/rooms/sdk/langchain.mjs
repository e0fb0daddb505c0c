// LangChain.js' Ollama package, which n8n and Obsidian Copilot are built on: ids of its own, results without id or name.
import assert from "node:assert/strict";
import test from "node:test";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOllama, Ollama, OllamaEmbeddings } from "@langchain/ollama";
import { z } from "zod";

const baseUrl = process.env.PROXY_URL;
const MODELS = JSON.parse(process.env.MODELS);
const make = (name) =>
  tool(({ city }) => `fine in ${city}`, { name, description: name, schema: z.object({ city: z.string() }) });
const TOOLS = [make("get_weather"), make("get_time")];

for (const [provider, model] of Object.entries(MODELS)) {
  const chat = new ChatOllama({ baseUrl, model });

  test(`${provider}: invoke and stream say the same`, async () => {
    const messages = [new SystemMessage("Be brief."), new HumanMessage("Say Paris, please")];
    const whole = await chat.invoke(messages);
    let streamed;
    for await (const chunk of await chat.stream(messages)) streamed = streamed ? streamed.concat(chunk) : chunk;
    assert.equal(streamed.content, whole.content);
    assert.ok(streamed.usage_metadata.total_tokens > 0);
  });

  test(`${provider}: a round with tools`, async () => {
    const bound = chat.bindTools(TOOLS);
    const messages = [new HumanMessage('Use both tools in parallel: get_weather and get_time for "Oslo"')];
    const first = await bound.invoke(messages);
    assert.deepEqual(first.tool_calls.map((call) => [call.name, call.args.city]), [
      ["get_weather", "Oslo"],
      ["get_time", "Oslo"],
    ]);
    messages.push(first);
    for (const [number, call] of first.tool_calls.entries()) {
      const result = await TOOLS[number].invoke(call);
      messages.push(new ToolMessage({ content: result.content, tool_call_id: call.id }));
    }
    assert.match((await bound.invoke(messages)).content, /fine in Oslo/);
  });
}

test("structured output, by schema and by tool", async () => {
  const schema = z.object({ name: z.string(), ages: z.array(z.number()) });
  for (const method of ["jsonSchema", "jsonMode"]) {
    const model = new ChatOllama({ baseUrl, model: MODELS.google }).withStructuredOutput(schema, { method });
    if (method === "jsonSchema") assert.equal(typeof (await model.invoke("Who?")).name, "string");
  }
});

test("thoughts come apart", async () => {
  const answer = await new ChatOllama({ baseUrl, model: MODELS.google, think: true }).invoke("Why?");
  assert.ok(answer.additional_kwargs.reasoning_content);
  assert.ok(!answer.content.includes("<thought>"));
});

test("generate", async () => {
  assert.match(await new Ollama({ baseUrl, model: MODELS.google }).invoke("Say hello"), /hello/);
});

test("embeddings", async () => {
  const vectors = await new OllamaEmbeddings({ baseUrl, model: "cohere:embed-v4.0" }).embedDocuments(["a", "b"]);
  assert.deepEqual(vectors.map((vector) => vector.length), [1536, 1536]);
});

test("an unknown model is an error with its text", async () => {
  await assert.rejects(new ChatOllama({ baseUrl, model: "nobody", maxRetries: 0 }).invoke("Hi"), /nobody/);
});
