// Bars of one run on a common time axis. Names are telemetry and go through textContent; a bar is a button.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".waterfall");
  const total = data.total || 1;
  const make = (tag, className) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    return node;
  };
  root.replaceChildren();
  const axis = make("div", "axis");
  const ticks = make("div", "ticks");
  data.ticks.forEach((written, i) => {
    const tick = make("span");
    tick.style.left = `${(100 * i) / (data.ticks.length - 1)}%`;
    tick.textContent = written;
    ticks.append(tick);
  });
  axis.append(make("span"), ticks, make("span"));
  root.append(axis);
  for (const bar of data.bars) {
    const row = make("button", "row");
    row.type = "button";
    row.setAttribute("aria-pressed", String(data.selected === bar.id));
    const name = make("span", "name");
    name.style.paddingLeft = `${bar.depth * 16}px`;
    const dot = make("i", `dot ${bar.tone}`);
    const label = make("span");
    label.textContent = bar.name;
    name.append(dot, label);
    name.title = bar.name;
    const track = make("span", "track");
    const box = make("span", `bar ${bar.tone}${bar.open ? " open" : ""}${bar.depth ? " inner" : ""}`);
    box.style.left = `${(100 * bar.start) / total}%`;
    box.style.width = `max(3px, ${(100 * Math.max(0, bar.end - bar.start)) / total}%)`;
    track.append(box);
    const time = make("span", "time");
    time.textContent = bar.length;
    if (bar.glyph && bar.glyph !== "●") {
      const mark = make("span", "mark");
      mark.textContent = bar.glyph;
      mark.title = bar.explain;
      time.append(mark);
    }
    row.append(name, track, time);
    const said = make("span", "said");
    said.textContent = `, ${bar.word}, starts at ${bar.starts}`;
    row.append(said);
    row.onclick = () => setStateValue("selected", data.selected === bar.id ? null : bar.id);
    root.append(row);
  }
}
