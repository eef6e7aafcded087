// The calendar of leases as a chart: a row for each host, time from left to right.

const SVG = "http://www.w3.org/2000/svg";
const LANE = 22;
const GAP = 3;
const TOP = 42;
const COLOURS = 12;
const HOUR = 3600;
const STEPS = [300, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR, 168 * HOUR];

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// As few lanes as there are leases at one time; a lease stays in its lane where that is free.
function lanesOf(slots) {
  const lanes = [];
  const home = new Map();
  const inOrder = [...slots].sort((a, b) => a.start_at - b.start_at || a.end_at - b.end_at);
  for (const slot of inOrder) {
    const isFree = (lane) => lane.at(-1).end_at <= slot.start_at;
    let place = home.get(slot.lease_id) ?? -1;
    if (place < 0 || !isFree(lanes[place])) place = lanes.findIndex(isFree);
    if (place < 0) place = lanes.push([]) - 1;
    lanes[place].push(slot);
    home.set(slot.lease_id, place);
  }
  return lanes.length > 0 ? lanes : [[]];
}

// Round local times, also across a change of the clocks.
function ticksOf(since, until, most) {
  const step = STEPS.find((seconds) => (until - since) / seconds <= most) ?? STEPS.at(-1);
  const offset = (at) => -60 * new Date(at * 1000).getTimezoneOffset();
  const found = [];
  let day = "";
  for (let number = Math.ceil((since + offset(since)) / step); ; number += 1) {
    const local = number * step;
    const at = local - offset(local - offset(since));
    if (at > until) return found;
    const date = new Date(at * 1000);
    const today = date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" });
    const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    found.push({ at, label: step < 24 * HOUR ? time : today, day: step < 24 * HOUR && today !== day ? today : "" });
    day = today;
  }
}

const moment = (at) =>
  new Date(at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });

function slotShapes(slot, names, x, y) {
  const left = x(slot.start_at);
  const width = Math.max(1, x(slot.end_at) - left);
  const name = slot.lease_id === null ? "another user's" : `${slot.lease_id} ${names.get(slot.lease_id) ?? ""}`;
  const colour = slot.lease_id === null ? "taken" : `k${slot.lease_id % COLOURS}`;
  const shape = element("rect", {
    x: left,
    y,
    width,
    height: LANE,
    rx: 2,
    class: `${slot.kind === "vm" ? colour : `op ${slot.kind}`} ${slot.actual ? "" : "planned"}`,
  });
  const when = `${moment(slot.start_at)} to ${moment(slot.end_at)}`;
  shape.append(element("title", {}, `lease ${name}: ${slot.nodes} nodes, ${slot.kind}, ${when}`));
  const letters = Math.floor((width - 8) / 7);
  if (slot.kind !== "vm" || letters < 2) return [shape];
  return [shape, element("text", { x: left + 5, y: y + 15, class: "label" }, name.slice(0, letters))];
}

// Draws into an empty <svg> as wide as it is given.
export function drawCalendar(svg, calendar, width) {
  const names = new Map(calendar.leases.map((lease) => [lease.id, lease.name]));
  const left = Math.min(120, width / 4);
  const span = calendar.until - calendar.since;
  const inside = (at) => Math.min(Math.max(at, calendar.since), calendar.until);
  const x = (at) => left + ((inside(at) - calendar.since) / span) * (width - left - 8);
  const rows = [];
  let y = TOP;
  for (const host of calendar.hosts) {
    const lanes = lanesOf(calendar.slots.filter((slot) => slot.host_id === host.id));
    rows.push(element("text", { x: 0, y: y + 16 }, host.name.slice(0, Math.floor(left / 8))));
    for (const lane of lanes) {
      for (const slot of lane) rows.push(...slotShapes(slot, names, x, y));
      y += LANE + GAP;
    }
    y += 6;
  }
  const grid = ticksOf(calendar.since, calendar.until, Math.max(2, Math.floor((width - left) / 75))).flatMap((tick) => [
    element("line", { x1: x(tick.at), x2: x(tick.at), y1: TOP - 6, y2: y, class: "grid" }),
    element("text", { x: x(tick.at), y: TOP - 10, class: "tick" }, tick.label),
    ...(tick.day ? [element("text", { x: x(tick.at), y: TOP - 26, class: "tick day" }, tick.day)] : []),
  ]);
  const now = calendar.now;
  const marks =
    now < calendar.since || now > calendar.until
      ? []
      : [element("line", { x1: x(now), x2: x(now), y1: TOP - 6, y2: y, class: "now" })];
  svg.setAttribute("viewBox", `0 0 ${width} ${y + 4}`);
  svg.setAttribute("height", y + 4);
  svg.replaceChildren(...grid, ...rows, ...marks);
}
