// Talking to the server: requests, and the one live connection.

import { model } from "./model.js";
import { status, toast } from "./say.js";
import { calm } from "./tools.js";

export async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the studio does not answer; is it still running in the terminal?");
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || `the studio refused (${response.status})`);
  return told;
}

/** Runs what a person asked for; what goes wrong is said in a sentence. */
export async function doing(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return null;
  }
}

let socket = null, retry = 300;
export function connect(take, frame) {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { retry = 300; look(); };
  socket.onmessage = ({ data }) => (typeof data === "string" ? take(JSON.parse(data)) : frame(data));
  socket.onclose = ({ reason }) => {
    status(reason || "no connection; trying again", "bad");
    document.body.dataset.link = "off";
    setTimeout(connect, retry, take, frame);
    retry = Math.min(retry * 1.6, 3000);
  };
}

/** Says one of the three words of a page; see the server's live.py. */
export function tell(word) {
  if (socket && socket.readyState === 1) socket.send(word);
}

/** Tells the server whether anybody looks at the live picture. */
export function look() {
  const wanted = model.view === "color" && !document.hidden && !calm;
  tell(wanted ? "look" : "no");
}
document.addEventListener("visibilitychange", look);
