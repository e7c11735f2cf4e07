// The page's script: takes what the server tells and has it drawn.
// The server's state is the truth: every message holds all of it, and the page draws what it says.
// A file imports only from floors below its own, lowest first: tools, model; say, geometry; talk; controls; grasp;
// stage; pointer, panels, library; actions.

import "./actions.js";
import { fetchChoices, showButtons } from "./controls.js";
import { drawMarks } from "./grasp.js";
import { showLibrary } from "./library.js";
import { isOpen, model } from "./model.js";
import { showLearning, showQueue, showResults, showStatus } from "./panels.js";
import "./pointer.js";
import { say, toast } from "./say.js";
import { frame, newPicture, showHeat } from "./stage.js";
import { connect } from "./talk.js";
import { $, sentence } from "./tools.js";

let choicesCount = -1;
const ended = new Set(); // jobs of which it was said how they ended, or that had ended before
window.studio = { measured: model.measured, get state() { return model.state; }, get grasp() { return model.grasp; } };

function take(told) {
  const restarted = model.state && model.state.server !== told.server;
  if (!model.state || restarted) for (const job of told.jobs) if (!isOpen(job)) ended.add(job.number);
  model.state = told;
  document.body.dataset.link = "on";
  if (restarted) {
    toast("The studio was started anew. What was being learnt then is gone; the skills are as they were.");
    choicesCount = -1;
    model.pictureNumber = undefined; // whatever there is now, it is another one
  }
  if (told.choices !== choicesCount) {
    choicesCount = told.choices;
    fetchChoices();
  }
  const number = told.picture ? told.picture.number : null;
  if (number !== model.pictureNumber) newPicture(told.picture);
  $("notice").hidden = !told.error;
  $("notice").textContent = told.error;
  for (const job of told.jobs) noteEnd(job);
  showStatus();
  showQueue();
  showLearning();
  showHeat();
  showResults();
  showLibrary();
  showButtons();
}

/** Says once how a job ended, also of one so quick that it was never told as running. */
function noteEnd(job) {
  if (isOpen(job) || ended.has(job.number)) return;
  ended.add(job.number);
  if (job.status === "failed") toast(sentence(job.error));
  if (job.status === "cancelled") toast(`Cancelled: ${job.title}. The skills are as they were.`);
  if (job.status !== "done") return;
  if (job.kind === "teach") {
    const kept = { imprint: "the imprint", refined: "the refined net", untaught: "the untaught net" }[job.result.kept];
    say(`Taught ${job.result.skill} in ${job.result.seconds.toFixed(1)} s; kept: ${kept}.`, "good");
    if (job.result.warning) toast(sentence(job.result.warning));
    $("skill-a").dataset.want = job.result.skill;
    model.ownName = false;
  } else if (job.kind === "find" && job.result.picture === model.pictureNumber) {
    model.found = job.result.grasp;
    say(`${job.result.skill} would grasp here, confidence ${job.result.confidence.toFixed(2)}.`, "good");
    drawMarks();
  } else if (job.kind === "take_in") toast(`Imported ${job.result.skill}.`);
  else if (job.kind === "mesh") for (const c of job.result.complaints) toast(sentence(c));
}

connect(take, frame);
