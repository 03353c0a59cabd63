// What this server is asked for, always its own API and always bounded. What comes back is believed by nobody: its form is
// looked at where it is used, and what can be verified is verified in verify.js.

const PREFIX = "api/v1/";
const ANSWER_BYTES_MAX = 16 << 20;
const PATIENCE_MS = 30_000;

/** The server did not answer, or said why it does not. Not a refusal: nothing false was said. */
export class Unanswered extends Error {
  constructor(sentence, status = 0, problem = null) {
    super(sentence);
    this.name = "Unanswered";
    this.status = status;
    this.problem = problem;
  }
}

export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return PREFIX + path.split("/").map(encodeURIComponent).join("/") + (text ? `?${text}` : "");
}

export async function ask(path, query = {}, signal = null) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let response, text;
  try {
    response = await fetch(address(path, query), {
      signal: signal === null ? patience : AbortSignal.any([signal, patience]),
      credentials: "omit",
      redirect: "error",
    });
    text = await readBounded(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unanswered(patience.aborted ? "This server did not answer in time." : "This server cannot be reached.");
  }
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Unanswered(`This server answered ${response.status} with something that is not JSON.`, response.status);
  }
  if (!response.ok)
    throw new Unanswered(String(answer?.detail ?? `This server answered ${response.status}.`), response.status, answer);
  return answer;
}

async function readBounded(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > ANSWER_BYTES_MAX) {
      await reader.cancel();
      throw new Unanswered("This server's answer is larger than any answer is.");
    }
    text += decoder.decode(value, { stream: true });
  }
}
