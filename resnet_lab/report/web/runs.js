// The panel at the bottom: runs of up to two selected groups, their learning curves, and the settings that differ.

const tableOf = (headings, rows) => node("table", {},
  node("thead", {}, node("tr", {}, ...headings.map(words => node("th", {scope: "col"}, words)))),
  node("tbody", {}, ...rows.map(row => node("tr", {}, ...row.map(cell => node("td", {}, cell ?? "—"))))));

// Two selected groups are called A and B, two chosen runs 1 and 2; their curves differ by marker as well as colour.
const sideOf = i => "AB12"[i];
const symbolOf = i => icon(element("path", {class: `spot side${i}`, d: SHAPES[i]}));
const number = value => value === null || value === undefined ? null : String(+value.toPrecision(5));

function showPanel(panel, view) {
  const groups = view.selected.map(i => view.groups[i]);
  panel.hidden = !groups.length;
  document.body.classList.toggle("spaced", groups.length > 0);
  if (!groups.length) return;
  const close = node("button", {class: "close", "aria-label": "close"}, "×");
  close.addEventListener("click", () => view.select([]));
  const pair = node("div", {class: "pair sides"}), settings = groups.map(group => settingsOf(view, group));
  const sides = node("div", {class: "sides"}, curves(view, groups.map(group => group.runs)), ...groups.map((group, i) => runsOf(view, group, i)));
  const parts = [close, pair, sides, node("p", {}, "Tick two runs to compare them.")];
  if (groups.length === 2) parts.push(node("h3", {}, "Settings that differ"), settingsTable(settings, [0, 1], ([a, b]) => a !== b));
  else parts.push(anotherGroup(view, groups[0]));
  parts.push(node("details", {}, node("summary", {}, "All settings"), settingsTable(settings, [0, 1])));
  panel.replaceChildren(...parts);
  showPair(view, pair);
}

// A list of the groups shown, since a keyboard does not reach another row from here.
function anotherGroup(view, group) {
  const others = view.groups.filter(other => other !== group && view.shown[other.index]);
  if (!others.length) return "";
  const list = node("select", {"aria-label": "another group"}, ...others.map(other => new Option(other.label, other.index)));
  const button = node("button", {}, "compare");
  button.addEventListener("click", () => view.select([group.index, +list.value]));
  return node("p", {class: "controls"}, "Select another row or point to compare it with this group, or choose one: ", list, button);
}

// All settings of a group; those in which its runs differ have several values.
function settingsOf(view, group) {
  const own = {};
  for (const run of group.runs)
    for (const [name, value] of Object.entries(run.settings)) (own[name] ??= new Set()).add(value);
  return {...view.settings, ...group.settings, ...Object.fromEntries(Object.entries(own).map(([name, values]) => [name, [...values].join(" | ")]))};
}

// A row for each setting that is wanted, by its values on the sides.
function settingsTable(all, sides, wanted = () => true) {
  const names = [...new Set(all.flatMap(Object.keys))].sort(inOrder);
  const rows = names.map(name => [name, ...all.map(settings => settings[name])]).filter(([, ...values]) => wanted(values));
  const headings = ["setting", ...all.map((_, i) => sideOf(sides[i]))];
  return rows.length ? node("div", {class: "wide settings"}, tableOf(headings, rows)) : node("p", {}, "No setting differs.");
}

// The scores that the page shows of any of these runs.
const scoresOf = (view, runs) => view.columns.filter(column => column.kind === "score" && runs.some(run => number(run.scores[column.name]) !== null));

// A row for each run: its scores, costs, and the settings in which the runs of the group differ.
function runsOf(view, group, i) {
  const scores = scoresOf(view, group.runs);
  const settings = [...new Set(group.runs.flatMap(run => Object.keys(run.settings)))].filter(name => name !== "seed");
  const title = column => column.title.replace(` ${view.score}`, "").replace(" epoch", "");
  const links = [...group.row.querySelectorAll("a")];
  const rows = group.runs.map((run, k) => {
    const link = node("a", {href: links[k].getAttribute("href")}, run.name);
    const numbers = scores.map(column => number(run.scores[column.name]));
    return [boxOf(view, group, run), link, ...numbers, run.costs.seconds === null ? null : short(run.costs.seconds), ...settings.map(name => run.settings[name])];
  });
  const heading = node("h3", {class: `side${i}`}, symbolOf(i), `${sideOf(i)}: ${group.label}`);
  return node("div", {}, heading, node("div", {class: "wide"}, tableOf(["compare", "run", ...scores.map(title), "time (s)", ...settings], rows)));
}

const CURVES = {width: 440, height: 260, left: 44, right: 432, top: 8, bottom: 220};

// Validation scores of each run solid, training scores dashed. Long histories are thinned as in page_data.py.
function curves(view, sides) {
  const lines = sides.flatMap((runs, i) => runs.flatMap(run => ["train", "val"].map(part => ({part, i, points: pointsOf(run, part)}))));
  const points = lines.flatMap(line => line.points);
  if (!points.length) return node("p", {}, "The runs have no learning curves.");
  const range = k => points.reduce(([low, high], point) => [Math.min(low, point[k]), Math.max(high, point[k])], [Infinity, -Infinity]);
  const {width, height, left, right, top, bottom} = CURVES, part = view.most ? view.most / 100 : 0;
  const xs = scale(range(0), [left, right], {pad: 0.01});
  const ys = scale(range(1), [bottom, top], {logarithmic: spansMuch(...range(1), part), part, floor: view.most ? 0 : -Infinity});
  const svg = element("svg", {viewBox: `0 0 ${width} ${height}`, class: "curves", role: "img", "aria-label": "learning curves"});
  for (const tick of ys.ticks) svg.append(
    element("line", {class: "grid", x1: left, x2: right, y1: ys.at(tick), y2: ys.at(tick)}),
    element("text", {x: left - 6, y: ys.at(tick) + 4, "text-anchor": "end"}, short(tick)));
  for (const tick of xs.ticks.filter(Number.isInteger))
    svg.append(element("text", {x: xs.at(tick), y: bottom + 16, "text-anchor": "middle"}, short(tick)));
  for (const line of lines) svg.append(...curve(line, xs, ys));
  const words = `epoch — ${view.score}${view.unit && ` (${view.unit})`}: validation solid, training dashed`;
  svg.append(element("text", {x: width / 2, y: height - 6, "text-anchor": "middle"}, words));
  return svg;
}

function curve({part, i, points}, xs, ys) {
  const places = points.map(([epoch, value]) => `${xs.at(epoch)} ${ys.at(value)}`);
  const spots = part === "val" ? places.filter((_, k) => k % 10 === 4 * i % 10) : [];
  return [
    element("path", {class: `curve side${i} ${part}`, d: places.length ? `M${places.join("L")}` : ""}),
    ...spots.map(place => element("path", {class: `spot side${i}`, d: SHAPES[i], transform: `translate(${place}) scale(.6)`})),
  ];
}

function pointsOf({epochs, curves}, part) {
  const values = curves[part], last = Math.max(1, values.length - 1);
  return values.map((value, i) => [1 + Math.floor(i * (epochs - 1) / last), value]).filter(([, value]) => value !== null);
}
