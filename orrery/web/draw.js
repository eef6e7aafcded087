// What all lists are drawn with: cells, states, sizes. Knows no list.

export const byId = (id) => document.getElementById(id);

export function show(id, message) {
  const element = byId(id);
  element.textContent = message;
  element.hidden = message === "";
}

const GOOD = new Set(["RUNNING", "MONITORED", "ACTIVE"]);
const STILL = new Set(["PENDING", "HOLD", "POWEROFF", "SUSPENDED", "DONE", "DISABLED", "OFFLINE", "INIT", "SCHEDULED", "QUEUED", "CANCELLED"]);

function stateClass(status) {
  if (GOOD.has(status)) return "good";
  if (STILL.has(status)) return "still";
  return /FAIL|ERROR|UNKNOWN|REJECTED/.test(status) ? "bad" : "busy";
}

export function cell(label, ...content) {
  const td = document.createElement("td");
  td.dataset.label = label;
  const span = document.createElement("span");
  span.append(...content.map((part) => part ?? ""));
  td.append(span);
  return td;
}

export function stateCell(status, why) {
  const td = cell("State", status.toLowerCase().replaceAll("_", " "));
  td.classList.add("state", stateClass(status));
  if (why) {
    const reason = document.createElement("span");
    reason.className = "why";
    reason.textContent = why;
    td.firstChild.append(reason);
  }
  return td;
}

export function usageCell(label, used, offered, text) {
  const meter = document.createElement("meter");
  meter.max = Math.max(offered, 1);
  meter.value = used;
  meter.high = meter.max * 0.9;
  meter.textContent = text;
  return cell(label, meter, ` ${text}`);
}

export const gib = (mib) => (mib < 1024 ? `${mib} MiB` : `${(mib / 1024).toFixed(1)} GiB`);

export function row(...cells) {
  const tr = document.createElement("tr");
  tr.append(...cells);
  return tr;
}

export function fill(id, rows, columns, emptyText) {
  if (rows.length === 0) {
    const td = cell("", emptyText);
    td.colSpan = columns;
    td.className = "empty";
    rows = [row(td)];
  }
  byId(id).replaceChildren(...rows);
}
