// Heading and facts of a run. Everything that telemetry wrote goes through textContent.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".facts");
  root.replaceChildren();
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const head = make("div", "head");
  head.append(make("h1", "", data.title), make("span", `pill ${data.tone}`, data.status));
  const mark = make("span", "mark", data.glyph);
  mark.title = data.explain;
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", data.explain);
  head.append(mark);
  root.append(head, make("p", "run", data.run));
  const list = make("dl", "list");
  for (const fact of data.facts) {
    const cell = make("div", "cell");
    const term = make("dt", "", fact.label);
    if (fact.glyph) {
      const sign = make("span", "mark", fact.glyph);
      sign.title = fact.explain;
      sign.setAttribute("role", "img");
      sign.setAttribute("aria-label", fact.explain);
      term.append(sign);
    }
    const value = make("dd", [fact.mono ? "mono" : "", fact.vague ? "vague" : ""].join(" ").trim(), fact.value);
    value.title = fact.value;
    cell.append(term, value);
    list.append(cell);
  }
  root.append(list);
  if (data.error) root.append(make("p", "error", data.error));
}
