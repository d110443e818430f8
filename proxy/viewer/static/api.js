// Asking the proxy. Whoever may not come in (any more) gets the form for the token.

export async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401) location.reload();
  const said = await answer.json();
  if (!answer.ok) {
    const failure = new Error(said.error?.message || `Status ${answer.status}`);
    failure.status = answer.status;
    throw failure;
  }
  return said;
}

export const post = (path, value) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value ?? {}) });

export const one = (id) => `api/exchanges/${encodeURIComponent(id)}`;
export const cancel = (id) => post(`${one(id)}/cancel`);
