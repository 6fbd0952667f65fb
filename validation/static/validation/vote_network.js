/* Requests to the server: send one operation, fetch the next questions. */

export const LIMITS = {
  patience: 15_000, // ms until an attempt counts as lost
  longestWait: 60, // seconds that the server, or a proxy, may ask to wait
  again: 3_000, // ms until questions are asked for again
};

const timeout = () => AbortSignal.timeout?.(LIMITS.patience); // older browsers wait as long as it takes

/* Only a JSON reply comes from the site itself. After any other reply, such as a proxy's page, the operation is sent
   again. outcome: "sent" and "refused" are final; "stopped" needs the person; "lost" and "stumbled" are tried again,
   after `wait` ms if the server says so. */
export async function readOutcome(response) {
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const reply = isJson ? await response.json() : {};
  if (response.ok && isJson) return { outcome: "sent", reply };
  if (isJson && [400, 404, 409].includes(response.status)) return { outcome: "refused", reply };
  if ([401, 403].includes(response.status) || response.type === "opaqueredirect") {
    return { outcome: "stopped", reply };
  }
  if ([400, 404, 409, 500].includes(response.status)) return { outcome: "stumbled", reply };
  const seconds = Math.min(Number(response.headers.get("Retry-After")), LIMITS.longestWait);
  return { outcome: "lost", reply, wait: seconds > 0 ? seconds * 1000 : undefined };
}

export async function sendVote(url, token, fields) {
  try {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams(fields),
      headers: { "X-CSRFToken": token, Accept: "application/json" },
      signal: timeout(),
      keepalive: true, // goes out also when the page is left at this moment
    });
    return await readOutcome(response);
  } catch {
    return { outcome: "lost", reply: {} };
  }
}

export async function fetchQuestions(url, count) {
  const response = await fetch(`${url}?n=${count}`, {
    headers: { Accept: "application/json" },
    signal: timeout(),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

/* Runs the work once at a time, and once more if it was requested meanwhile. */
export class Refill {
  constructor(isWanted, work) {
    Object.assign(this, { isWanted, work, isRunning: false, isAskedAgain: false, timer: 0 });
  }

  async run() {
    this.isAskedAgain = this.isRunning;
    if (this.isRunning || !this.isWanted()) return;
    this.isRunning = true;
    clearTimeout(this.timer);
    try {
      await this.work();
    } finally {
      this.isRunning = false;
      if (this.isAskedAgain) this.run();
    }
  }

  runLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), LIMITS.again);
  }
}
