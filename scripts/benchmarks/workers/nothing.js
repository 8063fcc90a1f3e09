// The least a JavaScript Worker can do.
export default {
  fetch: () => new Response("hello"),
};
