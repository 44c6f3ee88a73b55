"use strict";
// Charts: SVG as wide as what holds it, drawn anew when that changes. Colours are of atlas.css, by class or variable.

/** A chart that is drawn for the width it has. */
function responsive(draw, label) {
  const holder = el("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (!now || now === width) return;
    width = now;
    holder.replaceChildren(draw(width));
  }).observe(holder);
  holder.redraw = () => width && holder.replaceChildren(draw(width));
  if (label) holder.setAttribute("aria-label", label);
  return holder;
}

function canvas(width, height, label, ...children) {
  const role = children.flat(3).some((child) => child?.tagName === "a") ? "group" : "img"; // what can be entered is no image
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role, "aria-label": label }, children);
}

function domainOf(numbers, pad = 0.05) {
  const [lo, hi] = d3.extent(numbers.filter((each) => each !== null && each !== undefined && Number.isFinite(each)));
  if (lo === undefined) return [0, 1];
  const room = (hi - lo || Math.abs(hi) || 1) * pad;
  return [lo >= 0 && lo - room < 0 ? -room / 3 : lo - room, hi + room];
}

/** Axes with few ticks, faint lines, and names at their ends. */
function axes({ x, y, width, height, margin, xName, yName, xFormat = tickText, yFormat = tickText, xTicks, yTicks = 5 }) {
  const [bottom, left, right] = [height - margin.bottom, margin.left, width - margin.right];
  const across = xTicks ?? x.ticks(Math.max(2, Math.floor((right - left) / 80)));
  const up = y ? y.ticks(yTicks) : [];
  return [
    svg("g", { class: "axis", "aria-hidden": "true" }, [
      ...up.map((tick) => svg("line", { class: "rule", x1: left, x2: right, y1: y(tick), y2: y(tick) })),
      ...up.map((tick) => svg("text", { x: left - 8, y: y(tick), dy: "0.32em", "text-anchor": "end" }, yFormat(tick))),
      svg("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }),
      ...across.map((tick) => svg("line", { class: "tick", x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 4 })),
      ...across.map((tick) => svg("text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, xFormat(tick))),
      xName ? svg("text", { class: "name", x: right, y: height - 4, "text-anchor": "end" }, xName) : null,
      yName ? svg("text", { class: "name", x: 0, y: 11 }, yName) : null,
    ]),
  ];
}

/** What stands beside the pointer, or is told of what the keyboard is at. */
function tooltip() {
  return document.getElementById("tooltip");
}

function tell(event, ...content) {
  const tip = tooltip();
  tip.replaceChildren(...content.flat());
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const [x, y] = event.clientX === undefined ? [event.x, event.y] : [event.clientX, event.clientY];
  tip.style.setProperty("left", `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`);
  tip.style.setProperty("top", `${y + 18 + box.height > innerHeight ? Math.max(8, y - box.height - 14) : y + 18}px`);
}

function hush() {
  tooltip().hidden = true;
}

/** Rows of a value with its interval, and chance: [{label, value, lo, hi, chance, chanceHi, colour, href, hint}]. */
function dots(rows, { label, unit, rowHeight = 24, labelWidth = 170, zero = true, domain = null, colour = "var(--accent)" }) {
  return responsive((width) => {
    const room = Math.min(labelWidth, width * 0.44);
    const margin = { left: room, right: 14, top: 8, bottom: 36 };
    const height = margin.top + rows.length * rowHeight + margin.bottom;
    const numbers = rows.flatMap((row) => [row.value, row.lo, row.hi, row.chance]);
    const x = d3.scaleLinear(domain ?? domainOf(zero ? [...numbers, 0] : numbers), [margin.left, width - margin.right]);
    const drawn = rows.map((row, at) => {
      const y = margin.top + (at + 0.5) * rowHeight;
      const name = svg("text", { class: row.href ? "label link" : "label", x: margin.left - 10, y, dy: "0.32em", "text-anchor": "end" }, short(row.label, room / 6.6));
      const marks = [
        row.chance !== null && row.chance !== undefined
          ? svg("line", { class: "chance", x1: x(row.chance), x2: x(row.chance), y1: y - 8, y2: y + 8 })
          : null,
        row.lo !== null && row.lo !== undefined
          ? svg("line", { class: "whisker", x1: x(row.lo), x2: x(row.hi), y1: y, y2: y, stroke: row.colour ?? colour })
          : null,
        row.value !== null ? svg("circle", { cx: x(row.value), cy: y, r: 4, fill: row.colour ?? colour }) : null,
      ];
      const chance = row.chance === null || row.chance === undefined ? [] : [el("span", {}, `chance ${number(row.chance)}`)];
      const told = [el("strong", {}, row.label), el("span", {}, `${number(row.value)} ${interval(row.lo, row.hi)}`), ...chance, ...(row.hint ? [el("span", {}, row.hint)] : [])];
      const hit = svg("rect", { class: "hit", x: 0, y: y - rowHeight / 2, width, height: rowHeight, onpointermove: (event) => tell(event, told), onpointerleave: hush });
      return row.href ? svg("a", { href: row.href, "aria-label": `${row.label}: ${number(row.value)}` }, name, marks, hit) : svg("g", {}, name, marks, hit);
    });
    const none = x.domain()[0] < 0 && x.domain()[1] > 0 ? svg("line", { class: "zero", x1: x(0), x2: x(0), y1: margin.top, y2: height - margin.bottom }) : null;
    return canvas(width, height, label, axes({ x, width, height, margin, xName: unit }), none, drawn);
  });
}

function short(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(1, Math.floor(length) - 1))}\u2026` : text;
}

/** Lines over a common x: [{name, colour, dash, points: [[x, y]]}]; the pointer reads all of them at once. */
function lines(series, { label, xName, yName, height = 260, xScale = "linear", marks = [], band = null, format = number }) {
  return responsive((width) => {
    const margin = { left: 48, right: 14, top: 22, bottom: 40 };
    const points = series.flatMap((each) => each.points);
    const xs = d3.sort(new Set(points.map(([at]) => at)));
    const extent = d3.extent(xs);
    const make = xScale === "log" ? d3.scaleSymlog().constant(1) : d3.scaleLinear();
    const x = make.domain(extent[0] === undefined ? [0, 1] : extent).range([margin.left, width - margin.right]);
    const y = d3.scaleLinear(domainOf([...points.map(([, value]) => value), ...marks.map((mark) => mark.value)]), [height - margin.bottom, margin.top]);
    const ticks = xScale === "log" ? xs.filter((tick, at) => at === 0 || at === xs.length - 1).concat([1, 10, 100, 1000, 10000, 100000].filter((tick) => tick > extent[0] && tick < extent[1] * 0.7)) : null;
    const line = d3.line(([at]) => x(at), ([, value]) => y(value)).defined(([, value]) => value !== null);
    const cursor = svg("line", { class: "cursor", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
    const area = svg("rect", { class: "hit", x: margin.left, y: 0, width: Math.max(0, width - margin.left - margin.right), height: height - margin.bottom });
    area.addEventListener("pointermove", (event) => {
      const at = x.invert(event.clientX - area.ownerSVGElement.getBoundingClientRect().left);
      const nearest = xs[d3.leastIndex(xs, (each) => Math.abs(x(each) - x(at)))];
      cursor.setAttribute("x1", x(nearest));
      cursor.setAttribute("x2", x(nearest));
      cursor.setAttribute("visibility", "visible");
      const found = series.map((each) => [each, each.points.find(([one]) => one === nearest)]).filter(([, point]) => point);
      tell(event, el("strong", {}, `${xName} ${number(nearest)}`), found.map(([each, point]) => el("span", {}, swatch(each), ` ${each.name} ${format(point[1])}`)));
    });
    area.addEventListener("pointerleave", () => (cursor.setAttribute("visibility", "hidden"), hush()));
    return canvas(
      width,
      height,
      label,
      band ? svg("rect", { class: "band", x: margin.left, width: width - margin.left - margin.right, y: y(band[1]), height: Math.max(1, y(band[0]) - y(band[1])) }) : null,
      axes({ x, y, width, height, margin, xName, yName, xTicks: ticks ?? undefined }),
      marks.map((mark) => svg("line", { class: "chance", x1: margin.left, x2: width - margin.right, y1: y(mark.value), y2: y(mark.value) })),
      series.map((each) => svg("path", { class: "line", d: line(each.points), stroke: each.colour, "stroke-dasharray": each.dash })),
      cursor,
      area,
    );
  });
}

function swatch({ colour, dash }) {
  const line = svg("line", { x1: 0, x2: 18, y1: 5, y2: 5, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash });
  return svg("svg", { class: "mark", width: 18, height: 10, "aria-hidden": "true" }, line);
}

function legend(series) {
  return el("ul", { class: "legend" }, series.map((each) => el("li", {}, swatch(each), each.name)));
}

/** A triangle of queries by keys; what is under the pointer is told. cells: [{query, key, value}]. */
function triangle(cells, tokens, { label, scale, positive = "var(--plus)", negative = "var(--minus)", onpoint }) {
  return responsive((width) => {
    const side = width / tokens.length;
    const rects = cells.map(({ query, key, value }) =>
      svg("rect", {
        x: key * side,
        y: query * side,
        width: side + 0.3,
        height: side + 0.3,
        fill: value < 0 ? negative : positive,
        "fill-opacity": Math.min(1, Math.abs(value ?? 0) / scale).toFixed(3),
      }),
    );
    const cross = svg("rect", { class: "cross", width: side, height: side, visibility: "hidden" });
    const hit = svg("rect", { class: "hit", width, height: width });
    const by = new Map(cells.map((cell) => [cell.query * tokens.length + cell.key, cell]));
    let at = null;
    const point = (query, key, event) => {
      const cell = by.get(query * tokens.length + key);
      if (!cell) return;
      at = cell;
      cross.setAttribute("x", key * side);
      cross.setAttribute("y", query * side);
      cross.setAttribute("visibility", "visible");
      onpoint(cell, event);
    };
    hit.addEventListener("pointermove", (event) => {
      const box = hit.ownerSVGElement.getBoundingClientRect();
      point(Math.floor((event.clientY - box.top) / side), Math.floor((event.clientX - box.left) / side), event);
    });
    hit.addEventListener("pointerleave", hush);
    const chart = canvas(width, width, label, svg("path", { class: "ground", d: `M0,0${tokens.map(() => `h${side}v${side}`).join("")}H0Z` }), rects, cross, hit);
    chart.setAttribute("tabindex", 0);
    chart.addEventListener("keydown", (event) => {
      const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
      if (down === undefined) return;
      event.preventDefault();
      const box = chart.getBoundingClientRect();
      const [query, key] = at ? [at.query + down, at.key + right] : [0, 0];
      point(query, key, { x: box.left + key * side, y: box.top + query * side });
    });
    chart.addEventListener("blur", hush);
    return chart;
  });
}

/** A number beside where it lies between chance and what is ideal: a line of text's height. */
function strip({ value, lo, hi, chance, ideal, null_mean: mean, null_sd: sd, domain }, width = 150) {
  const height = 18;
  const x = d3.scaleLinear(domain, [4, width - 4]).clamp(true);
  const band = mean !== null && mean !== undefined && sd !== null ? [x(mean - 2 * sd), x(mean + 2 * sd)] : null;
  return svg("svg", { class: "strip", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, [
    svg("line", { class: "rule", x1: 4, x2: width - 4, y1: 9, y2: 9 }),
    band ? svg("rect", { class: "band", x: band[0], width: Math.max(1.5, band[1] - band[0]), y: 3, height: 12 }) : null,
    chance !== null && chance !== undefined ? svg("line", { class: "chance", x1: x(chance), x2: x(chance), y1: 2, y2: 16 }) : null,
    ideal !== null && ideal !== undefined ? svg("path", { class: "ideal", d: `M${x(ideal)},3l3,-3h-6z` }) : null,
    lo !== null && lo !== undefined ? svg("line", { class: "whisker", x1: x(lo), x2: x(hi), y1: 9, y2: 9, stroke: "var(--accent)" }) : null,
    value !== null && value !== undefined ? svg("circle", { cx: x(value), cy: 9, r: 3.6, fill: "var(--accent)" }) : null,
  ]);
}
