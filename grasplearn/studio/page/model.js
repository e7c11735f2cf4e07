// What the page knows. Everybody may read it; what is shown of it is drawn anew by whoever writes it.

export const model = {
  state: null, // as the server last told it
  choices: { objects: [], tiers: [], rules: [], max_width: 0.08, max_upload: Infinity },
  pictureNumber: null,
  depth: null, // Uint16Array
  robotPicture: null,
  view: "color",
  zoom: 1, panX: 0, panY: 0,
  grasp: null, // {u, v, yaw_deg, width}: pixels of the picture, degrees counter-clockwise, m
  found: null, // where a skill would grasp
  history: [],
  hint: "", // what the server says of the grasp
  drag: null, // what the pointer is at while it is down
  laid: new Set(), // pictures that this page asked for: each has its job's number
  ownName: false, // whether a person has typed the skill's name
  measured: { frames: 0, drawn: [] }, // for benchmarks/studio.py
};

export const running = () => model.state?.jobs.find((j) => ["running", "stopping"].includes(j.status));
export const isOpen = (job) => ["queued", "running", "stopping"].includes(job.status);

export function teaching() {
  const jobs = model.state.jobs.filter((j) => j.kind === "teach" && j.status !== "queued");
  return jobs.find(isOpen) ?? jobs.at(-1);
}
