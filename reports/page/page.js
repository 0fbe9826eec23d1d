"use strict";
// Sorting, filtering and the image explorer. The page is whole without it: nothing here adds a number.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // --- tables: a click on a heading sorts the methods; reference and published rows stay with what they stand beside

  const unitsOf = (body) => {
    const units = [];
    for (const row of [...body.rows]) {
      if (row.classList.contains("published") && units.length) units.at(-1).rows.push(row);
      else units.push({ rows: [row], sorts: row.classList.contains("method") });
    }
    return units;
  };
  const sort = (table, heading, index) => {
    const now = heading.getAttribute("aria-sort");
    const lower = heading.dataset.better === "lower";
    const ascending = now ? now === "descending" : lower;
    for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (unit) => {
      const cell = unit.rows[0].cells[index];
      return cell && cell.dataset.value !== undefined ? Number(cell.dataset.value) : NaN;
    };
    for (const body of table.tBodies) {
      const units = unitsOf(body);
      const sorted = units.filter((unit) => unit.sorts).sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return ascending ? x - y : y - x;
      });
      body.append(...units.map((unit) => (unit.sorts ? sorted.shift() : unit)).flatMap((unit) => unit.rows));
    }
  };
  for (const table of all("table.scores")) {
    all("thead th[data-better]", table).forEach((heading) => {
      const index = heading.cellIndex;
      const button = make("button", { type: "button", title: heading.title });
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading, index));
    });
  }

  // --- filters: methods, edits, protocols

  const holder = document.getElementById("filters");
  const filters = make("details", { open: innerWidth > 700 }, make("summary", { textContent: "Show methods, edits, tables" }));
  const group = (legend, names, show) => {
    if (names.size < 2) return;
    const set = make("fieldset", {}, make("legend", { textContent: legend }));
    for (const [name, title] of names) {
      const box = make("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => show(name, box.checked));
      set.append(make("label", {}, box, " " + title));
    }
    filters.append(set);
    holder.replaceChildren(filters);
    holder.hidden = false;
  };
  if (holder) {
    const named = (selector, key, title) =>
      new Map(all(selector).map((element) => [element.dataset[key], title(element)]));
    const toggle = (selector, key) => (name, on) => {
      for (const element of all(selector)) if (element.dataset[key] === name) element.hidden = !on;
    };
    group("Methods", named("tr.method", "method", (row) => row.dataset.title), toggle("tr[data-method]", "method"));
    group("Edits", named(".block-table", "edit", (block) => block.dataset.edit), toggle(".block-table", "edit"));
    group("Protocols", named("section.table", "protocol", (part) => part.dataset.protocol), toggle("section.table", "protocol"));
    group("Tables", named("section.table", "slug", (part) => part.dataset.title), toggle("section.table", "slug"));
  }

  // --- the explorer: input, edit and truth of one person in one place

  const source = document.getElementById("explorer-data");
  const root = document.getElementById("explorer");
  if (!source || !root) return;
  const data = JSON.parse(source.textContent);
  const uri = (...key) => data.pictures[key.join("\t")];
  const kept = (image, pass) => data.methods.some((method) => uri(method.name, data.passes[pass].name, data.images[image]));
  const first = data.passes.flatMap((_, pass) => data.images.map((_, image) => [image, pass]))
    .find(([image, pass]) => data.passes[pass].name !== "reconstruction" && kept(image, pass)) ?? [0, 0];
  const state = { image: first[0], pass: first[1], view: "edit", heat: false };
  const pick = (label, options, key) => {
    const select = make("select", {}, ...options.map((text, value) => make("option", { textContent: text, value })));
    select.value = state[key];
    select.addEventListener("change", () => { state[key] = Number(select.value); draw(); });
    return [make("label", {}, label + " ", select), select];
  };
  const [imageLabel, imageSelect] = pick("Image", data.images, "image");
  const [passLabel, passSelect] = pick("Edit", data.passes.map((pass) => pass.title), "pass");
  const views = ["input", "edit", "truth"];
  const buttons = views.map((view, index) => {
    const button = make("button", { type: "button", textContent: `${index + 1} ${view}` });
    button.addEventListener("click", () => { state.view = view; draw(); });
    return button;
  });
  const known = Object.keys(data.pictures).some((name) => name.startsWith("true\t"));
  const heatBox = make("input", { type: "checkbox" });
  heatBox.addEventListener("change", () => { state.heat = heatBox.checked; draw(); });
  const controls = make("div", { className: "controls" }, imageLabel, passLabel,
    make("span", { className: "views", role: "group", ariaLabel: "What is shown" }, ...buttons),
    make("label", {}, heatBox, known ? " difference to the truth" : " difference to the input"));
  const stage = make("div", { className: "stage" });
  const help = make("p", { className: "hint", textContent:
    "Keys: 1 input, 2 edit, 3 truth, space to flip; arrows for the next person or edit; D for the difference. " +
    "Press on an image to see its input." });
  const scale = make("p", { className: "scale hint", hidden: true }, "Mean difference of the colours: 0 ",
    make("span", { className: "ramp" }), " 96 of 255 and more");
  const followers = [];
  root.append(controls, slidersFor(), stage, scale, help);
  root.hidden = false;

  function slidersFor() {
    // Passes of one edit at its strengths are steps of a sweep; the reconstruction is its zero.
    const steps = new Map();
    const still = data.passes.findIndex((pass) => pass.name === "reconstruction");
    data.passes.forEach((pass, index) => {
      if (!pass.edit) return;
      if (!steps.has(pass.edit)) steps.set(pass.edit, still < 0 ? [] : [[0, still]]);
      steps.get(pass.edit).push([pass.strength, index]);
    });
    const holder = make("div", { className: "controls" });
    for (const [edit, list] of steps) {
      if (list.length < 3) continue;
      list.sort((a, b) => a[0] - b[0]);
      const shown = make("output", { textContent: "" });
      const slider = make("input", { type: "range", min: 0, max: list.length - 1, step: 1 });
      slider.setAttribute("aria-label", `Strength of ${edit}`);
      const told = ([strength]) => (strength > 0 ? "+" : strength < 0 ? "\u2212" : "") + Math.abs(strength);
      const follow = () => {
        const at = list.findIndex(([, index]) => index === state.pass);
        shown.textContent = at < 0 ? "" : told(list[at]);
        slider.value = at >= 0 ? at : list.findIndex(([strength]) => strength === 0);
      };
      slider.addEventListener("input", () => { state.pass = list[Number(slider.value)][1]; draw(); });
      followers.push(follow);
      holder.append(make("label", {}, `Strength of ${edit} `, slider, " ", shown));
    }
    return holder;
  }

  const heat = (canvas, made, truth) => {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const pixels = (image) => {
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    };
    const [a, b] = [pixels(made), pixels(truth)];
    for (let i = 0; i < a.data.length; i += 4) {
      const off = (Math.abs(a.data[i] - b.data[i]) + Math.abs(a.data[i + 1] - b.data[i + 1]) +
        Math.abs(a.data[i + 2] - b.data[i + 2])) / 3;
      const t = Math.min(1, off / 96);
      a.data[i] = 255 * Math.min(1, 2 * t); a.data[i + 1] = 255 * Math.max(0, 2 * t - 1) * 0.9; a.data[i + 2] = 60 * (1 - t);
    }
    context.putImageData(a, 0, 0);
  };
  const loaded = (src) => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = src;
  });

  async function figure(method, person, pass) {
    const sources = { input: uri("input", person), edit: uri(method.name, pass.name, person),
      truth: uri("true", pass.name, person) ?? (pass.name === "reconstruction" ? uri("input", person) : undefined) };
    const src = sources[state.view];
    const what = { input: "the input", edit: `${method.title}, ${pass.title}`, truth: "the true edit" }[state.view];
    const caption = make("figcaption", { textContent: method.title });
    const against = known ? sources.truth : sources.input;
    if (!src) return make("figure", {}, make("p", { className: "none", textContent: `no ${state.view}: not in this edit's subset, or not kept` }), caption);
    if (state.heat && sources.edit && against) {
      const [made, truth] = await Promise.all([loaded(sources.edit), loaded(against)]);
      const canvas = make("canvas", { width: made.naturalWidth, height: made.naturalHeight, role: "img" });
      canvas.setAttribute("aria-label", `Image ${person}: how far ${method.title}, ${pass.title}, is from the ${known ? "true edit" : "input"}, brighter is further`);
      heat(canvas, made, truth);
      return make("figure", {}, canvas, caption);
    }
    const places = { input: ["real", "original"], edit: [method.name, pass.name], truth: ["truth", pass.name] };
    const place = state.view === "truth" && pass.name === "reconstruction" ? places.input : places[state.view];
    const href = ["pictures", ...place, `${person}.png`].map(encodeURIComponent).join("/");
    caption.append(" ", make("a", { href, textContent: "full size", target: "_blank", rel: "noopener" }));
    const image = make("img", { src, alt: `Image ${person}: ${what}` });
    const peek = (on) => () => { if (sources.input) image.src = on ? sources.input : src; };
    image.addEventListener("pointerdown", peek(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) image.addEventListener(end, peek(false));
    return make("figure", {}, image, caption);
  }
  let turn = 0;
  async function draw() {
    const mine = ++turn;
    const [person, pass] = [data.images[state.image], data.passes[state.pass]];
    for (const follow of followers) follow();
    scale.hidden = !state.heat;
    imageSelect.value = state.image; passSelect.value = state.pass; heatBox.checked = state.heat;
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(views[index] === state.view)));
    const figures = await Promise.all(data.methods.map((method) => figure(method, person, pass)));
    if (mine === turn) stage.replaceChildren(...figures);
  }
  const step = (key, count, by) => { state[key] = (state[key] + by + count) % count; };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA|SUMMARY|A)$/.test(event.target.tagName)) return;
    const box = root.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return; // only while it is seen
    const acts = {
      1: () => { state.view = "input"; }, 2: () => { state.view = "edit"; }, 3: () => { state.view = "truth"; },
      " ": () => { state.view = views[(views.indexOf(state.view) + 1) % 3]; },
      d: () => { state.heat = !state.heat; },
      ArrowRight: () => step("image", data.images.length, 1), ArrowLeft: () => step("image", data.images.length, -1),
      ArrowDown: () => step("pass", data.passes.length, 1), ArrowUp: () => step("pass", data.passes.length, -1),
    };
    if (event.key === " " && event.target.tagName === "BUTTON") return;
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    act();
    event.preventDefault();
    draw();
  });
  draw();
})();
