// Puts pairs into KV, many at a time: `POST` with a JSON object of them.
export default {
  async fetch(request, env) {
    const pairs = Object.entries(await request.json());
    await Promise.all(pairs.map(([key, value]) => env.SCORES.put(key, value)));
    return new Response(String(pairs.length));
  },
};
