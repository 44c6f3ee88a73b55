"use strict";
// How every number was made: definitions, tables, settings, commands. And where a token is.

function howPage(main, [first, second]) {
  const entry = study.defined.get(`${first}/${second}`);
  if (first === "table" && study.tables[second]) return tablePage(main, second);
  if (entry) return definitionPage(main, entry);
  const columns = [
    { name: "metric", text: "score", show: (row) => words(row.metric) },
    { name: "definition", show: (row) => link(address("how", row.metric, row.definition), words(row.definition)) },
    { name: "meaning" },
    { name: "unit" },
    { name: "chance" },
    { name: "ideal" },
    { name: "source" },
  ];
  const tables = Object.entries(study.tables).map(([name, table]) => ({ name, ...table }));
  main.append(
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, "How every number was made"), el("p", { class: "intro" }, "Each figure of this page says under its chart which file and rows it is drawn from, with a line of pandas and the command that makes them again. Here is what the numbers mean.")),
    el("dl", { class: "made" }, pair("This study", el("code", { class: "copy" }, `snakemake --config ${study.request}`)), pair("This page", el("code", { class: "copy" }, commandFor(`results/studies/${study.study}/atlas.html`))), pair("Rounding", "Numbers are held to a few parts in ten thousand, and shown to three digits; the tables have all of them.")),
    el("h2", { class: "unseen" }, "Definitions and tables"),
    figure({ title: "Definitions of scores", chart: dataTable(study.definitions, columns, { filter: true, limit: 80, caption: "Definitions" }), wide: true }),
    figure({ title: "Tables that this page is made of", chart: dataTable(tables, [{ name: "name", text: "table", show: (row) => link(address("how", "table", row.name), row.name) }, { name: "row", text: "a row is" }, { name: "stage", text: "made by" }], { filter: true, caption: "Tables" }), wide: true }),
    el("section", {}, el("h2", {}, "Runs"), el("p", { class: "say" }, "Each run's page lists the settings and folder of every stage."), el("ul", { class: "columns" }, study.runs.map((run) => el("li", {}, link(address("run", run.experiment, run.seed), runWords(run)))))),
  );
}

function definitionPage(main, entry) {
  const series = [...study.series.keys()].filter((id) => id.startsWith(`${entry.metric}/${entry.definition}/`));
  const run = study.runs[0];
  const settings = study.settings[`score/${run.ids.score}`];
  main.append(
    el("nav", { class: "crumbs", "aria-label": "Where this is" }, link("#/how", "How every number was made"), " / "),
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, `${capital(words(entry.metric))}, ${words(entry.definition)}`), el("p", { class: "intro" }, capital(entry.meaning), ".")),
    el(
      "dl",
      { class: "facts" },
      pair("Source", entry.source),
      pair("Unit", entry.unit),
      pair("Chance", entry.chance),
      pair("Ideal", entry.ideal),
      pair("Threshold of the source", entry.threshold === null ? "none is given" : number(entry.threshold)),
      pair("Nulls", entry.nulls.length ? entry.nulls.map(words).join(", ") : "none"),
      pair("File, column", `results/studies/${study.study}/head_scores.parquet, value`),
      pair("By stage", "score"),
      pair("Shown", series.length ? el("ul", {}, series.map((id) => el("li", {}, link(`#/?y=${encodeURIComponent(id)}`, seriesName(id))))) : "in tables of pairs, of models or of training"),
    ),
    howMade({ table: "head_scores", query: queryOf({ metric: entry.metric, definition: entry.definition }) }),
    settings ? el("details", { class: "behind" }, el("summary", {}, "Settings it was measured with"), el("pre", {}, JSON.stringify(settings, null, 2))) : null,
  );
}

function tablePage(main, name) {
  const table = study.tables[name];
  const rows = Object.entries(table.columns).map(([column, [unit, meaning]]) => ({ column, unit, meaning, key: table.key.includes(column) ? "key" : "" }));
  main.append(
    el("nav", { class: "crumbs", "aria-label": "Where this is" }, link("#/how", "How every number was made"), " / "),
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, name), el("p", { class: "intro" }, `${capital(table.row)}. Made by the stage ${table.stage}.`)),
    howMade({ table: name }),
    dataTable(rows, [{ name: "column", show: (row) => el("code", {}, row.column) }, { name: "key" }, { name: "unit" }, { name: "meaning" }], { limit: 100, caption: `Columns of ${name}` }),
  );
}

async function tokenPage(main, [text]) {
  const tokens = (await block("tokens")).tokens;
  const rows = rowsOf(tokens, (row) => row.token === text);
  const columns = [
    { name: "head", get: (row) => `${row.experiment} ${row.seed} ${row.layer}.${row.head}`, show: (row) => link(headAddress(row.experiment, row.seed, `${row.layer}.${row.head}`), `${words(row.experiment)}, seed ${row.seed}, ${row.layer}.${row.head}`) },
    { name: "role", get: (row) => study.byKey.get(keyOf(row.experiment, row.seed, `${row.layer}.${row.head}`))?.role ?? "none", show: (row) => roleChip(study.byKey.get(keyOf(row.experiment, row.seed, `${row.layer}.${row.head}`))?.role ?? "none") },
    { name: "circuit" },
    { name: "end" },
    { name: "side", show: (row) => ({ OV: { row: "attended to", column: "written" }, QK: { row: "query", column: "key" } })[row.circuit][row.side] },
    { name: "rank", align: "right", get: (row) => row.rank + 1 },
  ];
  main.append(
    el("header", { class: "lead" }, el("h1", { tabindex: -1 }, "Token ", token(text)), el("p", { class: "intro" }, rows.length ? "Heads among whose strongest pairs it is." : "It is in none of the strongest pairs that this page holds.")),
    rows.length ? dataTable(rows, columns, { limit: 60, sort: { at: 5, down: false }, filter: true, caption: "Heads" }) : null,
  );
}
