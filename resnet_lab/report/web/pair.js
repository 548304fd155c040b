// The comparison of two runs: their scores, the settings in which they differ, and their learning curves.

// A box that chooses a run; a third run takes the place of the first one.
function boxOf(view, group, run) {
  const box = node("input", {type: "checkbox", "aria-label": `compare ${run.name} of ${group.label}`});
  Object.assign(run, {group, box});
  box.checked = view.pair.includes(run);
  box.addEventListener("change", () => {
    const others = view.pair.filter(other => other !== run);
    view.pair = box.checked ? [...others, run].slice(-2) : others;
    for (const other of others) other.box.checked = view.pair.includes(other);
    showPair(view, panel.querySelector(".pair"));
    if (view.pair.length === 2) panel.scrollTop = 0;
  });
  return box;
}

function showPair(view, place) {
  const runs = view.pair;
  place.replaceChildren();
  if (runs.length < 2) return;
  const settings = runs.map(run => ({...view.settings, ...run.group.settings, ...run.settings}));
  const scores = scoresOf(view, runs).map(column => [column.title, ...runs.map(run => number(run.scores[column.name]))]);
  const costs = ["params", "macs"].map(view.column).filter(Boolean)
    .map(column => [column.title, ...runs.map(run => cellText(run.group, column))]);
  const headings = runs.map((run, i) => node("h3", {class: `side${i + 2}`}, symbolOf(i + 2), `${sideOf(i + 2)}: ${run.group.label}, ${run.name}`));
  const rows = [...scores, ...costs, ["training time (s)", ...runs.map(run => number(run.costs.seconds))]];
  place.append(
    curves(view, [[], [], ...runs.map(run => [run])]),
    node("div", {}, ...headings, node("div", {class: "wide scores"}, tableOf(["", ...runs.map((_, i) => sideOf(i + 2))], rows))),
    node("div", {}, node("h3", {}, "Settings in which the two runs differ"), settingsTable(settings, [2, 3], ([a, b]) => a !== b)));
}
