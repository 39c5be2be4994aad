// What the page asks its server.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function checked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The server does not answer. Is pynq-cnn web still running?", 0);
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: `the server answers with status ${response.status}` }));
  throw new Refused(error, response.status);
}

function address(path, query) {
  return `/api/${path}?${new URLSearchParams(query)}`;
}

export async function get(path, query = {}) {
  return (await checked(address(path, query))).json();
}

export async function getPicture(path) {
  return (await checked(address(path, {}))).blob();
}

export async function send(path, query, picture) {
  return (await checked(address(path, query), { method: "POST", body: picture })).json();
}
