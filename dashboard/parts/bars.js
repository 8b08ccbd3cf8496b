// Rows of a label, a value and a bar in parts. Everything that telemetry wrote goes through textContent.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".bars");
  root.replaceChildren();
  const make = (className, text) => {
    const node = document.createElement("div");
    node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  for (const row of data.rows) {
    const box = make(row.total ? "row total" : "row");
    const head = make("head");
    const value = make("value", row.value);
    const more = document.createElement("span");
    more.textContent = row.more ? ` · ${row.more}` : "";
    value.append(more);
    const label = make("label", row.label);
    label.title = row.label;
    head.append(label, value);
    box.append(head);
    for (const parts of [row.parts, row.second]) {
      if (!parts) continue;
      const track = make(parts === row.second ? "track second" : "track");
      for (const part of parts) {
        const piece = make(`part ${part.tone}`);
        piece.style.width = `${Math.max(0, Math.min(1, part.share)) * 100}%`;
        track.append(piece);
      }
      box.append(track);
    }
    if (row.note) box.append(make("note", row.note));
    root.append(box);
  }
}
