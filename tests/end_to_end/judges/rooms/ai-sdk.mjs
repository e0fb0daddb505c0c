// What every provider of the AI SDK must do with each of our providers' models, whatever the SDK's version in the room.
import assert from "node:assert/strict";
import test from "node:test";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

export const MODELS = JSON.parse(process.env.MODELS);

export function judge(provide) {
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
      const request = { model: provide(id), prompt: "Say Paris, please" };
      const whole = await generateText(request);
      assert.equal(whole.finishReason, "stop");
      assert.equal(await streamText(request).text, whole.text);
      assert.ok(whole.usage.totalTokens > 0);
    });

    for (const stream of [false, true]) {
      test(`${provider}: its tool loop comes to its end, stream ${stream}`, async () => {
        seen.length = 0;
        const prompt = 'Use both tools in parallel: get_weather and get_time for "Oslo"';
        const request = { model: provide(id), prompt, tools, stopWhen: stepCountIs(4) };
        const text = stream ? await streamText(request).text : (await generateText(request)).text;
        assert.match(text, /fine in Oslo/);
        assert.deepEqual(seen, ["get_weather", "get_time"]);
      });
    }
  }
}
