// Passes the page through as it is.
export default {
  fetch: (request, env) => env.ASSETS.fetch(request),
};
