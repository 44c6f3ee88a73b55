"use strict";
// Elements, numbers and tokens. Whatever comes from data becomes a text node or an attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [property, each] of Object.entries(value)) element.style.setProperty(property, each);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const MINUS = "\u2212";

/** A number to three digits that matter. */
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  let text;
  if (size < 1e-12) return "0"; // what rounding leaves of nothing
  if (Number.isInteger(value) && size < 1e6) text = String(size);
  else if (size >= 1e5 || size < 1e-4) text = size.toExponential(1).replace("-", MINUS);
  else if (size >= 100) text = size.toFixed(0);
  else text = size.toFixed(Math.min(5, Math.max(0, 2 - Math.floor(Math.log10(size)))));
  return value < 0 ? MINUS + text : text;
}

/** A number on an axis: no more digits than tell it from its neighbours. */
function tickText(value) {
  return number(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** A probability, which says no more than how small it is. */
function probability(value) {
  return value !== null && value < 0.0005 ? "< 0.001" : number(value);
}

function interval(lo, hi) {
  return lo === null || hi === null || lo === undefined ? "" : `[${number(lo)}, ${number(hi)}]`;
}

function words(name) {
  return String(name).replaceAll("_", " ");
}

// What would not be seen, or would turn the text around it: controls, spaces of any kind, marks of direction.
const UNSEEN = /[\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff0-\uffff]/;

/** A token as text in which nothing is unseen: a space is ␣, a line end ↵, another such character its code. */
function shown(token) {
  return [...String(token)]
    .map((character) => {
      if (character === "\u0120" || character === " ") return "\u2423";
      if (character === "\u010a" || character === "\n") return "\u21b5";
      if (character === "\t") return "\u21e5";
      if (!UNSEEN.test(character)) return character;
      return `\\u{${character.codePointAt(0).toString(16)}}`;
    })
    .join("");
}

/** A token as an element. */
function token(text, attributes = {}) {
  return el("bdi", { class: "token", title: JSON.stringify(shown(text)), ...attributes }, shown(text));
}

const ROLES = [
  "induction",
  "prefix_matching",
  "positional_shortcut",
  "previous_token",
  "duplicate_token",
  "current_token",
  "first_token",
  "positional",
  "fuzzy_induction",
  "successor",
  "relation",
  "copying",
  "copy_suppression",
  "direct_copying",
  "inactive",
  "none",
];
/** A shape by the distance of its corners, the first one at the top. */
const shape = (corners) => ({
  draw(context, size) {
    corners.forEach((far, at) => {
      const turn = (2 * Math.PI * at) / corners.length;
      const radius = far * Math.sqrt(size / 2);
      context[at ? "lineTo" : "moveTo"](radius * Math.sin(turn), -radius * Math.cos(turn));
    });
    context.closePath();
  },
});
const spikes = (count) => shape(Array(count).fill([1.2, 0.5]).flat());
// A shape beside each colour: who sees no difference of hue sees one of form.
const SHAPES = [
  d3.symbolCircle,
  d3.symbolDiamond,
  d3.symbolCross,
  d3.symbolSquare,
  d3.symbolTriangle,
  d3.symbolStar,
  d3.symbolWye,
  spikes(4),
  spikes(8),
  shape(Array(3).fill([0.6, 1.2]).flat()),
  shape(Array(5).fill(1)),
  d3.symbolDiamond2,
  shape([1.2, 0.5, 0.5, 1.2, 0.5, 0.5]),
  spikes(6),
  shape([1, 0, 1, 1, 0, 1]),
  d3.symbolCircle,
];

function roleColour(role) {
  return `var(--role-${ROLES.includes(role) ? role.replaceAll("_", "-") : "none"})`;
}

function roleShape(role, size) {
  return d3.symbol(SHAPES[Math.max(0, ROLES.indexOf(role))], size)();
}

function roleMark(role) {
  const mark = svg("path", { d: roleShape(role, 60), fill: roleColour(role) });
  return svg("svg", { class: "mark", viewBox: "-6 -6 12 12", width: 12, height: 12, "aria-hidden": "true" }, mark);
}

function roleChip(role) {
  return el("span", { class: "chip" }, roleMark(role), words(role));
}

function address(...parts) {
  return "#/" + parts.map((part) => encodeURIComponent(part)).join("/");
}

function headAddress(experiment, seed, name) {
  return address("run", experiment, seed, "head", name);
}

function link(href, ...children) {
  return el("a", { href }, ...children);
}

/** A choice among options, or among groups of them. */
function choice(label, options, chosen, onchange) {
  const option = ({ value, text }) => el("option", { value, selected: value === chosen }, text);
  const groups = d3.group(options, (each) => each.group ?? "");
  const inside = [...groups].map(([group, each]) => (group ? el("optgroup", { label: group }, each.map(option)) : each.map(option)));
  const select = el("select", { onchange: () => onchange(select.value) }, inside);
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

/** Buttons of which one is pressed. */
function switches(label, options, chosen, onchange) {
  const buttons = options.map(({ value, text }) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => press(value) }, text),
  );
  function press(value) {
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(options[at].value === value)));
    onchange(value);
  }
  return el("div", { class: "switches", role: "group", "aria-label": label }, buttons);
}

/**
 * A table that can be sorted by any column and filtered by any text.
 * columns: [{name, text, get, show, align}], where get gives what is sorted and show what is seen.
 */
function dataTable(rows, columns, { limit = 60, sort = null, filter = false, caption = "" } = {}) {
  let order = sort;
  let all = false;
  let sought = "";
  const body = el("tbody");
  const more = el("button", { type: "button", class: "more", onclick: () => ((all = true), draw()) });
  const heads = columns.map((column, at) => {
    const button = el("button", { type: "button", onclick: () => sortBy(at) }, column.text ?? words(column.name));
    return el("th", { scope: "col", class: column.align ?? "", title: column.meaning }, button);
  });
  const get = (column, row) => (column.get ? column.get(row) : row[column.name]);
  function sortBy(at) {
    order = order && order.at === at ? { at, down: !order.down } : { at, down: columns[at].align === "right" };
    draw();
  }
  function draw() {
    let shownRows = rows;
    if (sought) shownRows = rows.filter((row) => columns.some((column) => String(get(column, row) ?? "").toLowerCase().includes(sought)));
    if (order) {
      const by = (row) => get(columns[order.at], row);
      shownRows = d3.sort(shownRows, (a, b) => {
        const [one, other] = [by(a), by(b)];
        if (one === null || other === null) return (one === null) - (other === null);
        return order.down ? d3.descending(one, other) : d3.ascending(one, other);
      });
    }
    heads.forEach((head, at) => {
      if (order && order.at === at) head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const seen = all ? shownRows : shownRows.slice(0, limit);
    body.replaceChildren(
      ...seen.map((row) =>
        el(
          "tr",
          {},
          columns.map((column) => {
            const value = get(column, row);
            const inside = column.show ? column.show(row) : typeof value === "number" ? number(value) : value ?? "\u2013";
            return el("td", { class: column.align ?? "" }, inside);
          }),
        ),
      ),
    );
    more.textContent = `Show all ${shownRows.length} rows`;
    more.hidden = seen.length === shownRows.length;
  }
  draw();
  const seek = el("input", {
    type: "search",
    placeholder: "Filter rows",
    "aria-label": `Filter rows${caption ? ` of ${caption}` : ""}`,
    oninput: (event) => ((sought = event.target.value.toLowerCase()), draw()),
  });
  const table = el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, heads)), body);
  return el("div", { class: "data" }, filter ? seek : null, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption || "table" }, table), more);
}

/** Columns of plain rows, numbers to the right. */
function plainColumns(rows, names) {
  return names.map((name) => ({
    name,
    align: rows.some((row) => typeof row[name] === "number") ? "right" : "",
    show: typeof rows[0]?.[name] === "string" && /token/.test(name) ? (row) => token(row[name]) : undefined,
  }));
}

/**
 * A figure: what to see, the chart, and behind it the table and how it was made.
 * made: {table, query} says which rows of which table it is drawn from.
 */
function figure({ title, say, chart, rows = null, names = null, made = null, controls = null, wide = false }) {
  const details = el("details", { class: "behind" }, el("summary", {}, "Table, and how it was made"));
  details.addEventListener(
    "toggle",
    () => {
      const behind = typeof rows === "function" ? rows() : rows;
      if (made) details.append(howMade(made));
      if (behind?.length) details.append(dataTable(behind, plainColumns(behind, names ?? Object.keys(behind[0])), { limit: 30, filter: true, caption: title }));
    },
    { once: true },
  );
  return el(
    "figure",
    { class: wide ? "wide" : "" },
    el("h3", {}, title),
    say ? el("p", { class: "say" }, say) : null,
    controls ? el("div", { class: "controls" }, controls) : null,
    chart,
    rows || made ? details : null,
  );
}

/** Where rows come from: what they are, file, a line of pandas, the command that makes them again. */
function howMade({ table, query }) {
  const declared = study.tables[table];
  const path = `results/studies/${study.study}/${table}.parquet`;
  const line = `pandas.read_parquet(${JSON.stringify(path)})${query ? `.query(${JSON.stringify(query)})` : ""}`;
  return el(
    "dl",
    { class: "made" },
    pair("Row", `${declared.row}; made by the stage ${declared.stage}`),
    pair("Columns", link(address("how", "table", table), `units and meanings of ${table}`)),
    pair("Read it", el("code", { class: "copy" }, line)),
    pair("Make it again", el("code", { class: "copy" }, commandFor(path))),
  );
}

function commandFor(path) {
  return `snakemake --forcerun ${path} --config ${study.request}`;
}

function pair(term, ...description) {
  return [el("dt", {}, term), el("dd", {}, ...description)];
}

function queryOf(parts) {
  return Object.entries(parts)
    .map(([name, value]) => `${name} == ${typeof value === "number" ? value : `'${value}'`}`)
    .join(" and ");
}
