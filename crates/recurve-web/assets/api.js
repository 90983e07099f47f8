// Questions to the program. A page that was exported answers from what was written into it.

const written = document.getElementById("embedded");
const embedded = written ? JSON.parse(written.textContent) : null;

/** Whether the program is there to compute. */
export const live = embedded === null;

/** Something the program refuses, in words for the person. */
export class Refused extends Error {}

const ABSENT = "This page was exported: it shows what was computed then. Run `recurve explore` to compute more.";

async function post(name, body) {
  let response;
  try {
    response = await fetch(`/api/${name}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}),
    });
  } catch {
    throw new Refused("The program does not answer. Is `recurve explore` still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Refused(told.error ?? `the program answers ${response.status}`);
}

/** Asks a question and gives the answer. */
export async function ask(name, body) {
  if (live) return (await post(name, body)).json();
  if (name in embedded) return embedded[name];
  throw new Refused(ABSENT);
}

/** Asks for a plane: what a gate or state of every unit was at every step, `[T, H]`. */
export async function numbers(trace, part, plane) {
  if (live) {
    const response = await post("plane", { trace, part, plane });
    return new Float32Array(await response.arrayBuffer());
  }
  const bytes = atob(embedded.planes[`${part}/${plane}`]);
  const data = Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
  return new Float32Array(data.buffer);
}
