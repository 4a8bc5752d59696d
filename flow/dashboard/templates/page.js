// Adds to a page what it can be read without: sorting, a filter, buttons that copy.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const by = new Intl.Collator(undefined, { numeric: true });
      const sorted = [...rows].sort((a, b) => by.compare(value(a, column), value(b, column)));
      body.append(...(down ? sorted.reverse() : sorted));
    });
  });
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "show runs with these words: rexp icarus failed";
  field.setAttribute("aria-label", "show runs with these words");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
  });
  table.parentNode.before(field);
}
for (const line of document.querySelectorAll("pre.copy")) {
  const box = document.createElement("div");
  box.className = "with-button";
  line.replaceWith(box);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", () => {
    // A page from a file may not be let near the clipboard: what is selected can be copied by hand.
    getSelection().selectAllChildren(line);
    const done = navigator.clipboard?.writeText(line.textContent) ?? Promise.reject();
    done.then(() => (button.textContent = "Copied"), () => (button.textContent = "Selected"));
  });
  box.append(line, button);
}
