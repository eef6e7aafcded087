// Talks to /api/v1 as the user who is logged in. Draws nothing.

const API = "/api/v1";

export const session = { authorization: null, user: null, stop: null };

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(path, options = {}) {
  const response = await fetch(API + path, {
    ...options,
    credentials: "omit",
    headers: { ...options.headers, authorization: session.authorization },
  });
  if (!response.ok) {
    const answer = await response.json().catch(() => null);
    throw new Refused(response.status, answer?.error?.message ?? `The server answered ${response.status}`);
  }
  return response;
}

export const read = async (path) => (await call(path)).json();

export const post = (path, body) =>
  call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
