// The first page: log in, then live lists of hosts, VMs and leases. Talks to /api/v1 only and decides nothing.

import { call, post, read, Refused, session } from "./api.js";
import { byId, cell, fill, gib, row, show, stateCell, usageCell } from "./draw.js";
import { fillLeases, readLeases, startLeases } from "./leases.js";

const PAGE_SIZE = 200;
const REFRESH_MS = 15000; // usage changes without a record, so lists are also read again by timer
const GATHER_MS = 400; // records come in bursts: one reading for all of them

let shownVms = PAGE_SIZE;

// --- log in ---------------------------------------------------------------------------------------

function basic(name, password) {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  return "Basic " + btoa(String.fromCharCode(...bytes));
}

async function logIn(event) {
  event.preventDefault();
  show("login-error", "");
  session.authorization = basic(byId("name").value, byId("password").value);
  try {
    session.user = await read("/me");
    byId("password").value = "";
    await takeToken();
    enter();
  } catch (error) {
    session.authorization = null;
    show("login-error", error instanceof Refused && error.status === 401 ? "User or password is wrong." : error.message);
  }
}

// A token survives a reload of the page; where none is to be had, the password stays in memory only.
async function takeToken() {
  try {
    const answer = await post("/me/tokens", { valid_s: 36000 });
    session.authorization = "Bearer " + (await answer.json()).token;
    sessionStorage.setItem("token", session.authorization);
  } catch {
    sessionStorage.removeItem("token");
  }
}

async function logOut() {
  const token = sessionStorage.getItem("token");
  if (token !== null) {
    await post("/me/tokens/end", { token: token.slice("Bearer ".length) }).catch(() => null);
  }
  leave();
}

async function resume() {
  session.authorization = sessionStorage.getItem("token");
  if (session.authorization === null) return leave();
  try {
    session.user = await read("/me");
    enter();
  } catch (error) {
    leave(error instanceof Refused && error.status === 401 ? "" : error.message);
  }
}

function enter() {
  byId("login").hidden = true;
  byId("lists").hidden = byId("who").hidden = false;
  byId("user").textContent = session.user.name;
  session.stop = new AbortController();
  keepFresh(session.stop.signal);
}

function leave(message = "") {
  session.stop?.abort();
  session.authorization = session.user = null;
  sessionStorage.removeItem("token");
  byId("lists").hidden = byId("who").hidden = true;
  byId("login").hidden = false;
  show("login-error", message);
  byId("name").focus();
}

// --- keep the lists fresh ---------------------------------------------------------------------------

let timer = null;
let reading = false;
let again = false;

function soon(delay = GATHER_MS) {
  if (timer !== null) return;
  timer = setTimeout(() => {
    timer = null;
    refresh();
  }, delay);
}

async function refresh() {
  if (session.user === null) return;
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const search = encodeURIComponent(byId("search").value.trim());
    const [hosts, vms, leases] = await Promise.all([
      read("/hosts"),
      read(`/vms?limit=${shownVms + 1}&search=${search}`),
      readLeases(),
    ]);
    if (session.user === null) return;
    fillHosts(hosts);
    fillVms(vms);
    fillLeases(leases);
    show("trouble", "");
  } catch (error) {
    if (error instanceof Refused && error.status === 401) leave("The session has ended: log in again.");
    else show("trouble", `Not up to date: ${error.message}`);
  } finally {
    reading = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

async function keepFresh(signal) {
  const interval = setInterval(refresh, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(interval));
  let last = null;
  while (!signal.aborted) {
    refresh();
    try {
      last = await follow(signal, last);
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

// An EventSource cannot carry our token, so the stream is read by hand.
async function follow(signal, last) {
  const headers = last === null ? {} : { "last-event-id": last };
  const response = await call("/events", { signal, headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return last;
    text += value;
    const end = text.lastIndexOf("\n\n");
    if (end < 0) continue;
    for (const line of text.slice(0, end).split("\n")) {
      if (line.startsWith("id: ")) {
        last = line.slice(4);
        soon();
      }
    }
    text = text.slice(end + 2);
  }
}

// --- hosts and VMs ------------------------------------------------------------------------------------

function hostCpu(host) {
  const now = host.usage.USED_CPU;
  const text = `${host.reserved_by_vms.cpu} of ${host.offered.cpu}`;
  return now === undefined ? text : `${text} (now ${(now / 100).toFixed(1)})`;
}

function fillHosts(hosts) {
  byId("hosts-count").textContent = String(hosts.length);
  const rows = hosts.map((host) =>
    row(
      cell("Id", String(host.id)),
      cell("Name", host.name),
      stateCell(host.status, host.error),
      usageCell("CPU promised", host.reserved_by_vms.cpu, host.offered.cpu, hostCpu(host)),
      usageCell(
        "Memory promised",
        host.reserved_by_vms.memory_mib,
        host.offered.memory_mib,
        `${gib(host.reserved_by_vms.memory_mib)} of ${gib(host.offered.memory_mib)}`,
      ),
      cell("VMs", String(host.vms.length)),
    ),
  );
  fill("hosts", rows, 6, "No hosts yet.");
}

function vmCpu(vm) {
  const now = vm.usage.CPU;
  return now === undefined ? String(vm.cpu) : `${vm.cpu} (now ${(now / 100).toFixed(2)})`;
}

function fillVms(vms) {
  const more = vms.length > shownVms;
  const shown = vms.slice(0, shownVms);
  byId("vms-count").textContent = more ? `${shown.length} and more` : String(shown.length);
  byId("more").hidden = !more;
  const rows = shown.map((vm) =>
    row(
      cell("Id", String(vm.id)),
      cell("Name", vm.name),
      cell("Owner", vm.owner.name),
      stateCell(vm.status, vm.error ?? vm.waiting_because),
      cell("CPU", vmCpu(vm)),
      cell("Memory", gib(vm.memory_mib)),
      cell("Host", vm.host?.name),
      cell("Address", vm.ips.join(", ")),
    ),
  );
  fill("vms", rows, 8, byId("search").value ? "Nothing fits the search." : "No virtual machines yet.");
}

byId("login").addEventListener("submit", logIn);
byId("leave").addEventListener("click", logOut);
byId("search").addEventListener("input", () => soon());
byId("more").addEventListener("click", () => {
  shownVms += PAGE_SIZE;
  refresh();
});
startLeases(refresh);
resume();
