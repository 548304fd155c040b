// Filters: "params < 500k, units = 3 none" means these conditions, and rows with the word none.

const CONDITION = /([\w.]+)\s*(<=|>=|!=|==|=|<|>|≤|≥)\s*("[^"]*"|(?:(?!,\s*[\w.]+\s*[<>=!≤≥])[^\s;<>=!])+(?:\s+[kMGT]\b)?)/g;
const UNFINISHED = /[\w.]+\s*[<>=!≤≥]+\s*$/;
const SIZES = {"": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12};
const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "≤": (a, b) => a <= b, "≥": (a, b) => a >= b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};
const SAME = {"<=": "≤", ">=": "≥", "==": "="};

// 500k, 0.5 M, 500,000, 1e6, 5% and 200MB as numbers; NaN for other text.
function quantity(text) {
  const plain = /^\d{1,3}(,\d{3})+$/.test(text) ? text.replaceAll(",", "") : text;
  const found = /^(-?\d*\.?\d+(?:e[+-]?\d+)?)\s*([kmgt]?)(?:b|%|s)?$/i.exec(plain);
  return found ? Number(found[1]) * SIZES[found[2].toLowerCase()] : NaN;
}

// The column that a word means: by its name, else by the beginning or a part of its name or heading.
function columnNamed(columns, word) {
  const wanted = word.toLowerCase(), names = column => [column.name.toLowerCase(), column.title.toLowerCase()];
  return columns.find(column => names(column)[0] === wanted)
    ?? columns.find(column => names(column).some(name => name.startsWith(wanted)))
    ?? columns.find(column => names(column).some(name => name.includes(wanted)));
}

// {accepts(group), problem}: the test that a filter means, and what is wrong with it, if anything.
function parseFilter(text, columns) {
  const tests = [], problems = [];
  const rest = text.replace(CONDITION, (_, name, typed, written) => {
    const column = columnNamed(columns, name), sign = SAME[typed] ?? typed, isOrder = "<>≤≥".includes(sign);
    const wanted = written.replace(/^"|"$|[,;]+$/g, "").trim(), size = quantity(wanted);
    if (!column) problems.push(`no column is called ${name}; there are ${columns.map(each => each.name).join(", ")}`);
    else if (isOrder && Number.isNaN(size)) problems.push(`${name} ${typed} needs a number, such as 500k, not ${wanted}`);
    else tests.push(({values}) => {
      const own = values[column.index];
      if (isOrder || typeof own === "number") return own !== null && COMPARE[sign](Number(own), size);
      return COMPARE[sign](String(own ?? "").toLowerCase(), wanted.toLowerCase());
    });
    return " ";
  }).replace(UNFINISHED, "");
  const words = rest.toLowerCase().split(/[\s,;]+/).filter(word => word && word !== "and");
  return {accepts: group => tests.every(test => test(group)) && words.every(word => group.text.includes(word)), problem: problems.join("; ")};
}

// The filter with other conditions on a column.
function withConditions(text, name, conditions) {
  const others = text.replace(CONDITION, (whole, own) => own === name ? "" : whole);
  return [others.replace(/,(\s*,)+/g, ",").replace(/^[\s,]+|[\s,]+$/g, ""), ...conditions].filter(Boolean).join(", ");
}
