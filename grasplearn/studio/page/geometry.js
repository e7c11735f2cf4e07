// From the picture's pixels to metres and back, and what is wrong with a grasp.

import { model } from "./model.js";
import { clamp, mm } from "./tools.js";

/** Depth at a pixel, m: the nearest that the sensor saw there, or the table's. */
function depthAt(u, v) {
  const p = model.state.picture;
  if (!model.depth) return p.table_depth;
  const [x, y] = [clamp(Math.round(u), 0, p.width - 1), clamp(Math.round(v), 0, p.height - 1)];
  for (let reach = 0; reach <= 5; reach++) {
    for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) {
      if (Math.max(Math.abs(dx), Math.abs(dy)) !== reach) continue;
      const [a, b] = [x + dx, y + dy];
      if (a < 0 || b < 0 || a >= p.width || b >= p.height) continue;
      const units = model.depth[b * p.width + a];
      if (units) return units * p.depth_unit;
    }
  }
  return p.table_depth;
}
export const pixelsPerMetre = (u, v) => model.state.picture.focal / depthAt(u, v);

export function ends(g) {
  const half = g.width * pixelsPerMetre(g.u, g.v) / 2, a = g.yaw_deg * Math.PI / 180;
  const [dx, dy] = [Math.cos(a) * half, -Math.sin(a) * half];
  return [[g.u - dx, g.v - dy], [g.u + dx, g.v + dy]];
}

export function fromEnds([x1, y1], [x2, y2]) {
  const [u, v] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return { u, v, yaw_deg: wrap(Math.atan2(y1 - y2, x2 - x1) * 180 / Math.PI),
    width: Math.hypot(x2 - x1, y2 - y1) / pixelsPerMetre(u, v) };
}
export const wrap = (degrees) => ((degrees + 90) % 180 + 180) % 180 - 90;

/** What is wrong with the grasp that can be told at once; the server is asked for the rest. */
export function fault(g) {
  const p = model.state.picture;
  if (!p) return "There is no picture yet.";
  if (g.u < 0 || g.v < 0 || g.u > p.width - 1 || g.v > p.height - 1 || !inside(g, p.workspace)) {
    return "That point is off the table's workspace, the dashed square: move it inside.";
  }
  if (g.width > model.choices.max_width + 1e-6) {
    return `The jaws are ${mm(g.width)} mm apart here, and the hand opens ${mm(model.choices.max_width)} mm at most: grasp a narrower side.`;
  }
  return "";
}

function inside(g, corners) {
  let within = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [xi, yi] = corners[i], [xj, yj] = corners[j];
    if ((yi > g.v) !== (yj > g.v) && g.u < (xj - xi) * (g.v - yi) / (yj - yi) + xi) within = !within;
  }
  return within;
}
