"use strict";
// Blocks of pipeline/atlas_page/blocks.py, opened by the browser's own DecompressionStream when they are asked for.

const opened = new Map();

/** The tables of one block, and what it says about itself; null where the page has no such block. */
function block(name) {
  if (!opened.has(name)) opened.set(name, unpack(name));
  return opened.get(name);
}

async function unpack(name) {
  const element = [...document.querySelectorAll("script[data-block]")].find((each) => each.dataset.block === name);
  if (!element) return null;
  const packed = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const tables = {};
  for (const [table, { rows, columns }] of Object.entries(header.tables)) {
    const read = columns.map((column) => [column.name, values(column, rows, bytes, start)]);
    tables[table] = { name: table, rows, columns: Object.fromEntries(read) };
  }
  return { ...tables, about: header.about };
}

/** One column: an array of numbers, booleans, strings or bytes, null where there is none. */
function values({ kind, width, at, least, ends, values: names }, rows, bytes, start) {
  if (kind === "bytes") return ends.map((end, row) => bytes.subarray(start + at + (ends[row - 1] ?? 0), start + at + end));
  const whole = new Uint8Array(rows * width);
  for (let plane = 0; plane < width; plane++) {
    const from = start + at + plane * rows;
    for (let row = 0; row < rows; row++) whole[row * width + plane] = bytes[from + row];
  }
  const view = new DataView(whole.buffer);
  const get = { 1: "getUint8", 2: "getUint16", 4: kind === "float" ? "getFloat32" : "getUint32", 8: "getBigUint64" }[width];
  return Array.from({ length: rows }, (_, row) => {
    const value = kind === "float" ? view[get](row * width, true) : Number(view[get](row * width, true));
    if (kind === "bool") return value === 1;
    if (kind === "float") return Number.isNaN(value) ? null : value;
    if (value === 0) return null;
    return kind === "int" ? value + least : names[value + least] ?? null;
  });
}

/** A table's rows as objects, those that `keep` alone. */
function rowsOf(table, keep = () => true) {
  if (!table) return [];
  const names = Object.keys(table.columns);
  const found = [];
  for (let row = 0; row < table.rows; row++) {
    const each = {};
    for (const name of names) each[name] = table.columns[name][row];
    if (keep(each)) found.push(each);
  }
  return found;
}

/** What everything rests on: heads, their scores by series, definitions, runs. Made once. */
const study = {};

async function openStudy() {
  const tables = await block("study");
  Object.assign(study, tables, tables.about);
  study.heads = rowsOf(tables.head_roles).map((head) => ({ ...head, name: `${head.layer}.${head.head}` }));
  for (const head of study.heads) head.key = keyOf(head.experiment, head.seed, head.name);
  study.byKey = new Map(study.heads.map((head) => [head.key, head]));
  const made = d3.rollups(
    study.made,
    (rows) => ({ experiment: rows[0].experiment, seed: rows[0].seed, ids: Object.fromEntries(rows.map((row) => [row.stage, row.id])) }),
    (row) => `${row.experiment}/${row.seed}`,
  );
  study.experiments = Object.keys(study.questions);
  study.runs = d3.sort(made.map(([, run]) => run), (run) => study.experiments.indexOf(run.experiment) * 1e9 + run.seed);
  study.runNames = study.runs.map((run) => `${run.experiment}/${run.seed}`);
  study.defined = new Map(study.definitions.map((entry) => [`${entry.metric}/${entry.definition}`, entry]));
  study.series = new Map();
  const columns = tables.head_scores.columns;
  for (let row = 0; row < tables.head_scores.rows; row++) {
    const id = seriesId(columns.metric[row], columns.definition[row], columns.eval_set[row], columns.period[row]);
    if (!study.series.has(id)) study.series.set(id, new Map());
    const head = `${columns.layer[row]}.${columns.head[row]}`;
    study.series.get(id).set(keyOf(columns.experiment[row], columns.seed[row], head), row);
  }
  study.claimRows = rowsOf(tables.claims);
}

function keyOf(experiment, seed, head) {
  return `${experiment}/${seed}/${head}`;
}

function seriesId(metric, definition, evalSet, period) {
  return [metric, definition, evalSet, ...(period === null || period === undefined ? [] : [period])].join("/");
}

/** One score of one head, as an object of its row; null where it was not measured. */
function scoreOf(series, key) {
  const row = study.series.get(series)?.get(key);
  if (row === undefined) return null;
  const columns = study.head_scores.columns;
  return Object.fromEntries(Object.keys(columns).map((name) => [name, columns[name][row]]));
}

/** The heads of a run, in order. */
function headsOf(experiment, seed) {
  return study.heads.filter((head) => head.experiment === experiment && head.seed === seed);
}
