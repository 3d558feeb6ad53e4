// Who answers the page: the server that it came from.

let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
if (token) history.replaceState(null, "", location.pathname); // not to be read off the screen

export class TokenWanted extends Error {}

export function useToken(given) {
  token = given;
}

export const about = "Songs go to the server that this page came from, and are not kept.";

// {models: [{name, labels, task, thresholds, hop_s}], ...}
export async function models() {
  return ask("api/models");
}

// What one model says of a file: {scores, thresholds, taggram, duration_s, similar, notes}.
export async function tag(file, model) {
  return ask(`api/tag?model=${encodeURIComponent(model.name)}`, {
    method: "POST",
    body: file,
    headers: { "Content-Type": "application/octet-stream" },
  });
}

async function ask(where, how = {}) {
  const headers = { ...how.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(where, { ...how, headers });
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  const content = await response.json().catch(() => ({ error: `status ${response.status}` }));
  if (response.status === 401) throw new TokenWanted("This server asks for its token.");
  if (!response.ok) throw new Error(sentence(content.error));
  return content;
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
