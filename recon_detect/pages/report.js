"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = Object.fromEntries(data.columns.map((name, number) => [name, number]));
const KINDS = ["found", "nothing", "undecided", "error"];
const byId = (id) => document.getElementById(id);
const text = (number) => data.texts[number];
const searched = data.rows.map((row) => `${row[at.path]} ${text(row[at.headline])} ${row[at.format]}`.toLowerCase());
const all = data.rows.map((_, number) => number);
let order = all, first = 0, column = "score", rising = false;

const key = (row) => (column === "headline" ? text(row[at.headline]) : row[at[column]]);
const pixels = (size) => size.split(" x ").reduce((product, side) => product * Number(side), 1);

function compare(one, other) {
  let a = key(data.rows[one]), b = key(data.rows[other]);
  if (column === "size") [a, b] = [a && pixels(a), b && pixels(b)];
  if (a === b) return one - other;
  if (a === null || a === "") return 1;  // without a value: last, either way
  if (b === null || b === "") return -1;
  const less = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return rising ? less : -less;
}

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  if (typeof content === "string") made.textContent = content;
  else made.append(...content);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

// Estimates have two digits, and end at 1 in 10,000.
function rarity(many) {
  const digits = Number(many.toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 0 });
  return many < 2 ? "most" : `${many >= 10000 ? "under " : ""}1 in ${digits}`;
}

function line(number) {
  const row = data.rows[number], kind = KINDS[row[at.kind]];
  const picture = row[at.thumbnail]
    ? [element("img", "", { src: row[at.thumbnail], alt: `Thumbnail of ${row[at.name]}`, loading: "lazy" })] : [];
  const details = element("details", [
    element("summary", text(row[at.headline])),
    element("p", row[at.path]),
    ...row[at.details].map((of) => element("p", text(of))),
  ]);
  const many = row[at.one_in];
  return element("tr", [
    element("td", picture),
    element("td", row[at.name]),
    element("td", [element("span", kind, { class: "badge", "data-kind": kind }), details]),
    element("td", row[at.score] === null ? "" : row[at.score].toFixed(2), { class: "n" }),
    element("td", many === null ? "" : rarity(many), { class: "n" }),
    element("td", row[at.size]),
    element("td", row[at.format]),
  ]);
}

function draw() {
  byId("rows").replaceChildren(...order.slice(first, first + data.page).map(line));
  const last = Math.min(first + data.page, order.length);
  byId("place").textContent = order.length ? `${first + 1} to ${last} of ${order.length}` : "none";
  byId("before").disabled = first === 0;
  byId("next").disabled = last >= order.length;
}

function update() {
  const kind = byId("kind").selectedOptions[0].dataset.number, family = byId("family").value;
  const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  order = all.filter((number) => {
    const row = data.rows[number];
    return (kind === undefined || row[at.kind] === Number(kind))
      && (!family || text(row[at.family]) === family)
      && words.every((word) => searched[number].includes(word));
  }).sort(compare);
  first = 0;
  byId("status").textContent = `${order.length} of ${all.length} images`;
  draw();
}

// What a spreadsheet would take for a formula gets a ' before it.
const cell = (value) => {
  const plain = value === null ? "" : String(value);
  return `"${(typeof value === "string" && /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain).replaceAll('"', '""')}"`;
};

function save() {
  const lines = order.map((number) => data.rows[number]).map((row) => [
    row[at.path], KINDS[row[at.kind]], text(row[at.headline]), row[at.score], row[at.one_in], text(row[at.family]),
    row[at.size], row[at.format],
  ].map(cell).join(","));
  const table = ["path,answer,headline,score,one_in,family,size,format", ...lines, ""].join("\r\n");
  const link = element("a", "", { download: "images.csv" });
  link.href = URL.createObjectURL(new Blob([table], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

let waiting = 0;
byId("text").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
for (const id of ["kind", "family"]) byId(id).addEventListener("change", update);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(update));
byId("save").addEventListener("click", save);
for (const [id, step] of [["before", -1], ["next", 1]]) {
  byId(id).addEventListener("click", () => { first += step * data.page; draw(); byId("table").scrollIntoView(); });
}
for (const button of document.querySelectorAll("#table thead button")) {
  button.addEventListener("click", () => {
    rising = button.dataset.column === column ? !rising : button.dataset.column !== "score" && button.dataset.column !== "one_in";
    column = button.dataset.column;
    for (const head of document.querySelectorAll("#table th")) head.removeAttribute("aria-sort");
    button.closest("th").setAttribute("aria-sort", rising ? "ascending" : "descending");
    update();
  });
}
update();
