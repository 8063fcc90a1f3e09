// GrowthBook's own edge app, as its example runs it.
import { handleRequest } from "@growthbook/edge-cloudflare";

export default {
  fetch: (request, env) => handleRequest(request, env),
};
