"use strict";
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const rows = [...document.querySelectorAll(".namespace .row")].map((node) => ({
    node,
    section: node.parentNode,
    state: node.dataset.state,
    namespace: node.dataset.namespace,
    kind: node.dataset.kind,
    authors: node.dataset.authors.split("\n"),
    text: null,
  }));
  const sections = [...document.querySelectorAll(".namespace")];
  const tiles = [...document.querySelectorAll("[data-tile]")];
  const facets = {
    state: (row) => [row.state],
    namespace: (row) => [row.namespace],
    kind: (row) => [row.kind],
    author: (row) => row.authors,
  };
  const names = Object.keys(facets);
  let wanted = {};

  const selects = names.filter((name) => name !== "state").map((name) => {
    const select = form.elements[name];
    const values = new Set(rows.flatMap(facets[name]));
    for (const value of [...values].sort((a, b) => a.localeCompare(b))) {
      select.add(new Option(value, value));
    }
    return select;
  });

  // Text is made of the page once, when somebody first searches.
  const holds = (row, words) => {
    row.text ??= `${row.namespace}/${row.node.textContent}`.toLowerCase();
    return words.every((word) => row.text.includes(word));
  };

  const show = () => {
    const words = (wanted.q || "").toLowerCase().split(/\s+/).filter(Boolean);
    const counts = Object.fromEntries(names.map((name) => [name, new Map()]));
    const perSection = new Map();
    let number = 0;
    for (const row of rows) {
      const found = !words.length || holds(row, words);
      const misses = names.filter((name) => wanted[name] && !facets[name](row).includes(wanted[name]));
      const visible = found && !misses.length;
      row.node.hidden = !visible;
      number += visible;
      if (visible) perSection.set(row.section, (perSection.get(row.section) || 0) + 1);
      // A value's count is what choosing it would show: everything else that is chosen applies.
      for (const name of names) {
        if (!found || misses.some((miss) => miss !== name)) continue;
        for (const value of new Set(facets[name](row))) {
          counts[name].set(value, (counts[name].get(value) || 0) + 1);
        }
      }
    }
    for (const section of sections) {
      const left = perSection.get(section) || 0;
      section.hidden = !left;
      section.querySelector(".number").textContent = left;
    }
    for (const select of selects) {
      for (const option of select.options) {
        if (option.value) option.text = `${option.value} (${counts[select.name].get(option.value) || 0})`;
      }
      select.value = wanted[select.name] || "";
    }
    for (const tile of tiles) {
      tile.querySelector("b").textContent = counts.state.get(tile.dataset.tile) || 0;
      tile.setAttribute("aria-pressed", String(wanted.state === tile.dataset.tile));
    }
    document.getElementById("shown").value = `${number} of ${rows.length} differences`;
    document.getElementById("none").hidden = number > 0;
  };

  const write = () => {
    const chosen = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    try {
      history.replaceState(null, "", `#${chosen}`);
    } catch {
      // A page in a sandbox may not change its address, and filters all the same.
    }
    show();
  };

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    wanted = Object.fromEntries([...names, "q"].map((name) => [name, given.get(name) || ""]));
    form.elements.q.value = wanted.q;
    show();
  };

  let waiting = 0;
  form.addEventListener("input", (event) => {
    wanted[event.target.name] = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(write, event.target.name === "q" ? 150 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    clearTimeout(waiting);
    wanted = {};
    write();
  });
  const fold = (open) => () => {
    for (const { node } of rows) if (!node.hidden && node.matches("details")) node.open = open;
  };
  document.getElementById("unfold").addEventListener("click", fold(true));
  document.getElementById("fold").addEventListener("click", fold(false));
  for (const tile of tiles) {
    tile.disabled = false;
    tile.addEventListener("click", () => {
      wanted.state = wanted.state === tile.dataset.tile ? "" : tile.dataset.tile;
      write();
    });
  }
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
})();
