"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

// Tables: a click on a heading sorts, and the other way round the second time; empty cells stay at the end.
function sortBy(table, column, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => {
    const cell = row.cells[column];
    return cell.dataset.key !== undefined ? Number(cell.dataset.key) : cell.textContent;
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const sign = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, {numeric: true});
    return down ? -sign : sign;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

// Filter: every word must occur in the row's group.
function filterRows(table, words) {
  for (const row of table.tBodies[0].rows)
    row.hidden = !words.every(word => row.cells[0].textContent.toLowerCase().includes(word));
}

// Scatter: plain SVG, drawn again for other axes.
const WIDTH = 900, HEIGHT = 440, LEFT = 70, RIGHT = 30, TOP = 15, BOTTOM = 50;

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function short(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (Math.abs(value) >= size) return `${+(value / size).toPrecision(3)} ${unit}`;
  return String(+value.toPrecision(3));
}

// From values to pixels: logarithmic where they span a lot, scores from 0 up; [position of a value, ticks].
// `most` is the largest score that there can be, if any: where scores span a lot, its hundredths are distinguished.
function scale(low, high, from, to, isScore, most) {
  const part = isScore && most / 100, logarithmic = !part && low > 0 && high > 8 * low, wide = part && high > 8 * Math.max(part, low);
  const f = logarithmic ? Math.log10 : wide ? value => Math.log1p(Math.max(0, value / part)) : value => value;
  const spread = f(high) - f(low) || Math.abs(f(high)) || 1;
  const bottom = isScore && !logarithmic ? Math.max(0, f(low) - 0.08 * spread) : f(low) - 0.08 * spread, top = f(high) + 0.08 * spread;
  const at = value => from + (f(value) - bottom) / (top - bottom) * (to - from);
  const rough = (top - bottom) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(m => m * power >= rough);
  const ticks = wide ? [0, 0.5, 1, 2, 5, 10, 20, 50, 100].map(tick => tick * part).filter(tick => f(tick) >= bottom && f(tick) <= top) : [];
  if (wide) return [at, ticks];
  if (logarithmic) {
    for (let e = Math.floor(bottom); e <= top; e++)
      for (const m of [1, 2, 5]) if (Math.log10(m) + e >= bottom && Math.log10(m) + e <= top) ticks.push(m * 10 ** e);
  } else for (let k = Math.ceil(bottom / step); k * step <= top; k++) ticks.push(k * step);
  return [at, ticks];
}

// Those that no other point beats in one and equals or beats in the other.
function paretoFront(points, x, y) {
  const front = [];
  for (const point of [...points].sort((a, b) => a[x][0] - b[x][0] || a[y][0] - b[y][0])) {
    const last = front.at(-1);
    if (!last || point[y][0] < last[y][0] || (point[y][0] === last[y][0] && point[x][0] === last[x][0])) front.push(point);
  }
  return front;
}

function draw(svg, tip, {axes, most, points}, x, y) {
  points = points.filter(point => point[x] && point[y]);
  svg.replaceChildren();
  if (!points.length) return;
  const bounds = axis => [
    Math.min(...points.map(p => p[axis][0] - (p[axis][1] ?? 0))), Math.max(...points.map(p => p[axis][0] + (p[axis][1] ?? 0)))];
  const [atX, ticksX] = scale(...bounds(x), LEFT, WIDTH - RIGHT, data.measures.includes(x), most);
  const [atY, ticksY] = scale(...bounds(y), HEIGHT - BOTTOM, TOP, data.measures.includes(y), most);
  for (const tick of ticksX) svg.append(
    element("line", {class: "grid", x1: atX(tick), x2: atX(tick), y1: TOP, y2: HEIGHT - BOTTOM}),
    element("text", {x: atX(tick), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle"}, short(tick)));
  for (const tick of ticksY) svg.append(
    element("line", {class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: atY(tick), y2: atY(tick)}),
    element("text", {x: LEFT - 8, y: atY(tick) + 4, "text-anchor": "end"}, short(tick)));
  svg.append(
    element("text", {x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 10, "text-anchor": "middle"}, axes[x]),
    element("text", {transform: `translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle"}, axes[y]));
  const front = paretoFront(points, x, y);
  const stairs = front.map((p, i) => (i ? `H${atX(p[x][0])}V` : `M${atX(p[x][0])} `) + atY(p[y][0])).join("");
  svg.append(element("path", {class: "stairs", d: stairs}));
  for (const point of points) svg.append(mark(tip, axes, point, x, y, atX, atY, front.includes(point)));
}

function mark(tip, axes, point, x, y, atX, atY, onFront) {
  const group = element("g", {class: onFront ? "front" : "point", tabindex: 0});
  const [cx, cy] = [atX(point[x][0]), atY(point[y][0])];
  const [halfX, halfY] = [point[x][1], point[y][1]];
  const clip = value => Math.min(value, HEIGHT - BOTTOM);
  if (halfY) group.append(element("line", {x1: cx, x2: cx, y1: clip(atY(point[y][0] - halfY)), y2: atY(point[y][0] + halfY)}));
  if (halfX) group.append(element("line", {y1: cy, y2: cy, x1: Math.max(LEFT, atX(point[x][0] - halfX)), x2: atX(point[x][0] + halfX)}));
  group.append(element("circle", {cx, cy, r: 5}));
  const show = () => {
    const numbers = Object.entries(axes).filter(([axis]) => point[axis]).map(([axis, title]) => {
      const [mean, half, words] = point[axis];
      return `${title}: ${words ?? short(mean)}`;
    });
    tip.textContent = [point.label, `${point.n} runs${onFront ? ", on the front" : ""}`, ...numbers].join("\n");
    tip.hidden = false;
    const share = tip.parentElement.clientWidth / WIDTH;
    const top = tip.parentElement.querySelector("svg").offsetTop;
    tip.style.left = `${Math.min(cx * share + 12, tip.parentElement.clientWidth - tip.offsetWidth)}px`;
    tip.style.top = `${top + cy * share + 12}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const [event, act] of [["mouseenter", show], ["mouseleave", hide], ["focus", show], ["blur", hide]]) group.addEventListener(event, act);
  return group;
}

function scatter(place, comparison) {
  const choices = ["horizontal axis", "vertical axis"].map((name, i) => {
    const select = document.createElement("select");
    select.setAttribute("aria-label", name);
    for (const [axis, title] of Object.entries(comparison.axes)) select.append(new Option(title, axis, false, axis === comparison.start[i]));
    return select;
  });
  const svg = element("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "scatter of the groups; the Pareto front is marked"});
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const redraw = () => draw(svg, tip, comparison, choices[0].value, choices[1].value);
  choices.forEach(select => select.addEventListener("change", redraw));
  place.append(choices[1], "against ", choices[0], svg, tip);
  redraw();
}

for (const section of document.querySelectorAll("section[data-comparison]")) {
  const table = section.querySelector("table");
  table.querySelectorAll("th").forEach((head, column) => head.firstChild.addEventListener("click", () => sortBy(table, column, head)));
  section.querySelector("input").addEventListener("input", event => filterRows(table, event.target.value.toLowerCase().split(/\s+/)));
  const place = section.querySelector(".scatter");
  if (place) scatter(place, data.comparisons[section.dataset.comparison]);
}
