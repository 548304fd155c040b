// Elements of the page, with text as text; and files to save.

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const node = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

const element = (name, attributes, ...children) => filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const icon = symbol => element("svg", {viewBox: "-8 -8 16 16", width: 16, height: 16}, symbol);

function save(name, type, text) {
  const link = node("a", {href: URL.createObjectURL(new Blob([text], {type})), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
