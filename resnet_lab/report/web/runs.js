// The panel at the bottom: runs of up to two selected groups, their learning curves, and the settings that differ.

const node = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const tableOf = (headings, rows) => node("table", {},
  node("thead", {}, node("tr", {}, ...headings.map(words => node("th", {scope: "col"}, words)))),
  node("tbody", {}, ...rows.map(row => node("tr", {}, ...row.map(cell => node("td", {}, cell ?? "—"))))));

// Two selected groups are called A and B; their curves differ by marker as well as colour.
const sideOf = i => "AB"[i];

function showPanel(panel, view) {
  const groups = view.selected.map(i => view.groups[i]);
  panel.hidden = !groups.length;
  document.body.classList.toggle("spaced", groups.length > 0);
  if (!groups.length) return;
  const close = node("button", {class: "close", "aria-label": "close"}, "×");
  close.addEventListener("click", () => view.select([]));
  const parts = [close, node("div", {class: "sides"}, curves(view, groups), ...groups.map((group, i) => runsOf(view, group, i)))];
  if (groups.length === 2) parts.push(node("h3", {}, "Settings that differ"), differences(view, groups));
  else parts.push(node("p", {}, "Select another row or point to compare it with this group."));
  for (const [i, group] of groups.entries()) parts.push(node("details", {}, node("summary", {}, `All settings of ${sideOf(i)}`), node("div", {class: "wide"}, tableOf(["setting", "value"], Object.entries(settingsOf(view, group)).sort(([a], [b]) => inOrder(a, b))))));
  panel.replaceChildren(...parts);
}

// All settings of a group; those in which its runs differ have several values.
function settingsOf(view, group) {
  const own = {};
  for (const run of group.runs)
    for (const [name, value] of Object.entries(run.settings)) (own[name] ??= new Set()).add(value);
  return {...view.settings, ...group.settings, ...Object.fromEntries(Object.entries(own).map(([name, values]) => [name, [...values].join(" | ")]))};
}

function differences(view, groups) {
  const [a, b] = groups.map(group => settingsOf(view, group));
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(name => a[name] !== b[name]);
  return names.length ? node("div", {class: "wide differences"}, tableOf(["setting", "A", "B"], names.map(name => [name, a[name], b[name]]))) : node("p", {}, "none");
}

// A row for each run: its scores, costs, and the settings in which the runs of the group differ.
function runsOf(view, group, i) {
  const scores = view.columns.filter(column => column.kind === "score" && group.runs.some(run => (run.scores[column.name] ?? null) !== null));
  const settings = [...new Set(group.runs.flatMap(run => Object.keys(run.settings)))].filter(name => name !== "seed");
  const links = [...group.row.querySelectorAll("a")];
  const rows = group.runs.map((run, k) => {
    const link = node("a", {href: links[k].getAttribute("href")}, run.name);
    const numbers = scores.map(column => run.scores[column.name] === null ? null : String(+run.scores[column.name].toPrecision(5)));
    return [link, ...numbers, run.costs.seconds === null ? null : short(run.costs.seconds), ...settings.map(name => run.settings[name])];
  });
  const symbol = element("svg", {viewBox: "-8 -8 16 16", width: 16, height: 16}, element("path", {class: `spot side${i}`, d: SHAPES[i]}));
  const title = node("h3", {class: `side${i}`}, symbol, `${sideOf(i)}: ${group.label}`);
  return node("div", {}, title, node("div", {class: "wide"}, tableOf(["run", ...scores.map(column => column.title), "time (s)", ...settings], rows)));
}

// Validation scores of each run solid, training scores dashed. Long histories are thinned as in page_data.py.
function curves(view, groups) {
  const [width, height] = [440, 260], lines = groups.flatMap((group, i) => group.runs.flatMap(run =>
    ["train", "val"].map(part => ({part, i, points: pointsOf(run, part)})).filter(({points}) => points.length > 1)));
  if (!lines.length) return node("p", {}, "The runs have no learning curves.");
  const all = lines.flatMap(({points}) => points), range = k => all.reduce(([low, high], point) => [Math.min(low, point[k]), Math.max(high, point[k])], [Infinity, -Infinity]);
  const part = view.most ? view.most / 100 : 0, [low, high] = range(1);
  const xs = scale(range(0), [44, width - 8], {pad: 0.01}), ys = scale([low, high], [height - 40, 8], {logarithmic: spansMuch(low, high, part), part, floor: view.most ? 0 : -Infinity});
  const svg = element("svg", {viewBox: `0 0 ${width} ${height}`, class: "curves", role: "img", "aria-label": "learning curves"});
  for (const tick of ys.ticks) svg.append(element("line", {class: "grid", x1: 44, x2: width - 8, y1: ys.at(tick), y2: ys.at(tick)}), element("text", {x: 38, y: ys.at(tick) + 4, "text-anchor": "end"}, short(tick)));
  for (const tick of xs.ticks.filter(Number.isInteger)) svg.append(element("text", {x: xs.at(tick), y: height - 24, "text-anchor": "middle"}, short(tick)));
  for (const {part, i, points} of lines) {
    const places = points.map(([epoch, value]) => `${xs.at(epoch)} ${ys.at(value)}`);
    svg.append(element("path", {class: `curve side${i} ${part}`, d: `M${places.join("L")}`}));
    if (part === "val") places.filter((_, k) => k % 10 === 4 * i).forEach(place => svg.append(element("path", {class: `spot side${i}`, d: SHAPES[i], transform: `translate(${place}) scale(.6)`})));
  }
  svg.append(element("text", {x: width / 2, y: height - 6, "text-anchor": "middle"}, `epoch — ${view.score}${view.unit && ` (${view.unit})`}: validation solid, training dashed`));
  return svg;
}

function pointsOf({epochs, curves}, part) {
  const values = curves[part], last = Math.max(1, values.length - 1);
  return values.map((value, i) => [1 + Math.floor(i * (epochs - 1) / last), value]).filter(([, value]) => value !== null);
}
