// Leases: the list, the form that asks for one, and the calendar. The engine decides; this asks.

import { post, read } from "./api.js";
import { drawCalendar } from "./chart.js";
import { byId, cell, fill, gib, row, show, stateCell } from "./draw.js";

const DAY_S = 86400;
const LIMIT = 200;

const view = { from: null, span: DAY_S, refresh: () => {}, calendar: null };

// --- the list ---------------------------------------------------------------------------------------

export async function readLeases() {
  const since = Math.floor(view.from ?? Date.now() / 1000 - view.span / 24);
  const [leases, calendar] = await Promise.all([
    read(`/leases?limit=${LIMIT}`),
    read(`/leases/calendar?from=${since}&until=${since + view.span}`),
  ]);
  return { leases, calendar };
}

export function fillLeases({ leases, calendar }) {
  byId("leases-count").textContent = leases.length < LIMIT ? String(leases.length) : `${LIMIT} and more`;
  const rows = leases.map((lease) =>
    row(
      cell("Id", String(lease.id)),
      cell("Name", lease.name),
      cell("Owner", lease.owner.name),
      stateCell(lease.status, lease.reason),
      cell("Kind", lease.kind),
      cell("Nodes", nodesOf(lease.terms)),
      cell("Start", moment(lease.start_at)),
      cell("End", moment(lease.end_at)),
      cell("", ...actionsOf(lease)),
    ),
  );
  fill("leases", rows, 9, "No leases yet.");
  view.calendar = calendar;
  draw();
}

function nodesOf(terms) {
  return terms.nodes.map((set) => `${set.count} × ${set.each.cpu} CPU, ${gib(set.each.memory_mib)}`).join("; ");
}

const moment = (at) =>
  at === null
    ? "-"
    : new Date(at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });

function stretch(start, end) {
  return start === null ? "it waits in the queue" : `${moment(start)} to ${moment(end)}`;
}

function button(text, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", onClick);
  return made;
}

function actionsOf(lease) {
  const made = [button("Cancel", () => act(lease, { action: "cancel" }))];
  if (lease.status === "OFFERED") made.unshift(button("Accept", () => act(lease, { action: "accept" })));
  return made;
}

async function act(lease, action) {
  const question = `End lease ${lease.id} ${lease.name}? Its VMs are stopped.`;
  if (action.action === "cancel" && !window.confirm(question)) return;
  try {
    await post(`/leases/${lease.id}/actions`, action);
    show("lease-trouble", "");
  } catch (error) {
    show("lease-trouble", error.message);
  }
  view.refresh();
}

// --- the form ---------------------------------------------------------------------------------------

const seconds = (id) => new Date(byId(id).value).getTime() / 1000;

function wanted() {
  const kind = byId("lease-kind").value;
  const body = {
    name: byId("lease-name").value.trim(),
    nodes: Number(byId("lease-nodes").value),
    duration: byId("lease-duration").value.trim(),
  };
  if (byId("lease-template").value !== "") body.template_id = Number(byId("lease-template").value);
  if (byId("lease-cpu").value !== "") body.cpu = Number(byId("lease-cpu").value);
  if (byId("lease-memory").value !== "") body.memory = byId("lease-memory").value;
  if (byId("lease-image").value !== "") body.image = byId("lease-image").value;
  if (kind === "now") body.start = "now";
  if (kind === "exact") body.start = seconds("lease-start");
  if (kind === "deadline") body.deadline = seconds("lease-deadline");
  return body;
}

async function ask(path, body) {
  try {
    const verdict = await (await post(path, body)).json();
    tell(verdict, body);
  } catch (error) {
    answer("bad", error.message);
  }
}

function answer(kind, ...content) {
  const place = byId("lease-answer");
  place.className = `notice ${kind}`;
  place.replaceChildren(...content);
  place.hidden = false;
}

function tell(verdict, body) {
  if (verdict.accepted) {
    const what = verdict.id === null ? "It would be accepted" : `Lease ${verdict.id} is accepted`;
    answer("good", `${what}: ${stretch(verdict.start_at, verdict.end_at)}.`);
    return;
  }
  if (verdict.status === "OFFERED") {
    const lease = { id: verdict.id, name: body.name };
    const until = new Date(verdict.offer_expires_at * 1000).toLocaleTimeString();
    const held = `${verdict.terms.node_count} nodes, ${stretch(verdict.start_at, verdict.end_at)}`;
    const text = `Refused: ${verdict.reason}. Held until ${until}: ${held}. `;
    answer("busy", text, button("Accept", () => act(lease, { action: "accept" })));
    return;
  }
  const list = document.createElement("ul");
  for (const one of verdict.alternatives) list.append(alternative(one, body));
  answer("bad", `Refused: ${verdict.reason}.`, ...(list.childElementCount > 0 ? [" Nearest alternatives:", list] : []));
}

function alternative(one, body) {
  const item = document.createElement("li");
  const terms = one.terms;
  const changed = { ...body, nodes: terms.node_count, duration: terms.duration_s };
  if (body.start !== undefined) changed.start = terms.start_at ?? one.start_at;
  item.append(
    `${one.what}: ${terms.node_count} nodes, ${stretch(one.start_at, one.end_at)} `,
    button("Take it", () => ask("/leases", changed).then(view.refresh)),
  );
  return item;
}

// Which times are asked for depends on what is promised.
function showTimes() {
  const kind = byId("lease-kind").value;
  byId("lease-start").parentElement.hidden = kind !== "exact";
  byId("lease-start").required = kind === "exact";
  byId("lease-deadline").parentElement.hidden = kind !== "deadline";
  byId("lease-deadline").required = kind === "deadline";
}

async function fillChoices() {
  const [templates, images] = await Promise.all([read("/templates"), read("/images")]);
  choices("lease-template", templates.map((one) => [one.id, one.name]));
  choices("lease-image", images.map((one) => [one.id, one.name]));
}

function choices(id, found) {
  const options = found.map(([value, text]) => new Option(text, String(value)));
  byId(id).replaceChildren(new Option("none", ""), ...options);
}

// --- the calendar -----------------------------------------------------------------------------------

function draw() {
  if (view.calendar !== null) drawCalendar(byId("calendar"), view.calendar, byId("calendar").parentElement.clientWidth);
}

function pan(steps) {
  const start = view.from ?? Date.now() / 1000 - view.span / 24;
  view.from = steps === 0 ? null : start + (steps * view.span) / 2;
  view.refresh();
}

// Says what is to be done when something changed here.
export function startLeases(refresh) {
  view.refresh = refresh;
  byId("lease-kind").addEventListener("change", showTimes);
  byId("lease-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const body = { ...wanted(), hold_offer: byId("lease-hold").checked };
    ask("/leases", body).then(refresh);
  });
  byId("lease-when").addEventListener("click", () => {
    if (byId("lease-form").reportValidity()) ask("/leases/when", wanted());
  });
  byId("lease-more").addEventListener("toggle", (event) => {
    if (event.target.open) fillChoices().catch((error) => answer("bad", error.message));
  });
  byId("calendar-span").addEventListener("change", (event) => {
    view.span = Number(event.target.value);
    refresh();
  });
  byId("calendar-back").addEventListener("click", () => pan(-1));
  byId("calendar-now").addEventListener("click", () => pan(0));
  byId("calendar-on").addEventListener("click", () => pan(1));
  window.addEventListener("resize", draw);
  showTimes();
}
