// The scatter plot: two numbers of each group, with intervals as bars, runs as strokes, and the Pareto front.

const HEIGHT = 420, LEFT = 62, RIGHT = 14, TOP = 12, BOTTOM = 48;
const CROWD = 100; // groups; of more, intervals and runs are pale, except those of the front

// Those that no other group beats in one number and equals or beats in the other one.
function paretoFront(groups, x, y) {
  const front = [];
  for (const group of [...groups].sort((a, b) => a.values[x] - b.values[x] || a.values[y] - b.values[y])) {
    const last = front.at(-1)?.values;
    if (!last || group.values[y] < last[y] || (group.values[y] === last[y] && group.values[x] === last[x])) front.push(group);
  }
  return front;
}

// The values of single runs, where they are known for the column.
const ofRuns = (group, column) => group.runs.map(run => run.scores[column.name] ?? run.costs[column.name] ?? null);

// The least and the largest of all groups and runs. Intervals of a few groups are included as far as they do not crush the rest.
function bounds(groups, column) {
  const values = groups.flatMap(group => [group.values[column.index], ...ofRuns(group, column)]).filter(value => value !== null);
  const [low, high] = extent(values);
  if (groups.length > CROWD) return [low, high];
  const halves = groups.map(group => [group.values[column.index], group.halves[column.name]]).filter(([, half]) => half);
  const [lowest, highest] = extent([low, high, ...halves.flatMap(([value, half]) => [value - half, value + half])]);
  const most = high - low;
  return [Math.max(lowest, low - most, Math.min(low, low / 2)), Math.min(highest, high + most)];
}

function extent(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

// How an axis of a column is scaled: scores of 0 to `most` are distinguished above a hundredth of it.
const partOf = (view, column) => column.kind === "score" && view.most ? view.most / 100 : 0;

function axisScale(view, groups, column, pixels, logarithmic) {
  return scale(bounds(groups, column), pixels, {logarithmic, part: partOf(view, column), floor: column.kind === "score" ? 0 : -Infinity});
}

function drawScatter(view, place, {x, y, colour, logX, logY}) {
  const width = Math.max(320, place.clientWidth);
  const svg = element("svg", {viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${y.title} against ${x.title}`});
  const groups = view.groups.filter(group => group.values[x.index] !== null && group.values[y.index] !== null);
  place.replaceChildren(svg);
  if (!groups.length) return;
  const xs = axisScale(view, groups, x, [LEFT, width - RIGHT], logX);
  const ys = axisScale(view, groups, y, [HEIGHT - BOTTOM, TOP], logY);
  svg.append(...grid(xs, ys, width, x.title, y.title));
  const shown = groups.filter(group => view.accepts(group)), front = paretoFront(shown, x.index, y.index);
  svg.classList.toggle("crowded", shown.length > CROWD);
  const stairs = front.map((group, i) => (i ? `H${xs.at(group.values[x.index])}V` : `M${xs.at(group.values[x.index])} `) + ys.at(group.values[y.index])).join("");
  svg.append(element("path", {class: "stairs", d: stairs}));
  const colours = colouring(colour, view.groups), onFront = new Set(front);
  for (const group of groups) svg.append(mark(group, x, y, xs, ys, colours.look(colour && group.values[colour.index]), onFront.has(group)));
  place.append(legend(colour, colours));
}

function grid(xs, ys, width, titleX, titleY) {
  const text = (attributes, words) => element("text", attributes, words), made = [];
  let end = -Infinity;
  for (const tick of xs.ticks) {
    const at = xs.at(tick), label = short(tick);
    made.push(element("line", {class: "grid", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM}));
    if (at - 4 * label.length < end) continue; // it would overlap
    made.push(text({x: at, y: HEIGHT - BOTTOM + 17, "text-anchor": "middle"}, label));
    end = at + 4 * label.length + 6;
  }
  for (const tick of ys.ticks) made.push(
    element("line", {class: "grid", x1: LEFT, x2: width - RIGHT, y1: ys.at(tick), y2: ys.at(tick)}),
    text({x: LEFT - 7, y: ys.at(tick) + 4, "text-anchor": "end"}, short(tick)));
  made.push(
    text({x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 10, "text-anchor": "middle"}, titleX),
    text({transform: `translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle"}, titleY));
  return made;
}

function mark(group, x, y, xs, ys, {fill, shape}, isOnFront) {
  const [valueX, valueY] = [group.values[x.index], group.values[y.index]], [cx, cy] = [xs.at(valueX), ys.at(valueY)];
  const made = element("g", {class: isOnFront ? "mark front" : "mark", "data-group": group.index});
  const [halfX, halfY] = [group.halves[x.name], group.halves[y.name]];
  if (halfY) made.append(element("line", {class: "bar", x1: cx, x2: cx, y1: ys.at(valueY - halfY), y2: ys.at(valueY + halfY)}));
  if (halfX) made.append(element("line", {class: "bar", y1: cy, y2: cy, x1: xs.at(valueX - halfX), x2: xs.at(valueX + halfX)}));
  const runsX = ofRuns(group, x), runsY = ofRuns(group, y);
  const strokes = group.runs.flatMap((_, i) => runsY[i] === null ? [] : [`M${xs.at(runsX[i] ?? valueX) - 4} ${ys.at(runsY[i])}h8`]).join("");
  if (strokes) made.append(element("path", {class: "runs", d: strokes}));
  made.append(element("path", {class: "symbol", d: shape, fill, transform: `translate(${cx} ${cy})`}));
  return made;
}
