// The panel of controls: native inputs, so that keyboard and screen reader work as everywhere else.
// One message is under way at a time: what moves meanwhile is sent when the picture is drawn, so nothing queues up.

const make = (tag, attrs = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};
const digits = (value) => {
  const rounded = Number(Number(value).toPrecision(4));
  const size = Math.abs(rounded);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? rounded.toExponential() : rounded.toString();
};
const STEPS = 400;

export function render({ model, el }) {
  const root = make("div", { class: "twin-controls" });
  const waiting = new Map();
  const actions = [];
  let busy = false;
  let sent = 0;
  let begun = 0;

  const flush = () => {
    if (busy || (waiting.size === 0 && actions.length === 0)) return;
    busy = true;
    sent += 1;
    begun = performance.now();
    root.dataset.busy = "yes";
    const message = { seq: sent, set: Object.fromEntries(waiting), act: actions.splice(0) };
    waiting.clear();
    model.send_msg(message);
  };
  const set = (key, value) => { waiting.set(key, value); flush(); };
  const act = (name, value) => { actions.push([name, value]); flush(); };

  const slider = (spec) => {
    const { log, low, high } = spec;
    const place = (value) => {
      if (log) return value <= low ? 0 : Math.min(STEPS, (STEPS * Math.log(value / low)) / Math.log(high / low));
      return ((value - low) / (high - low || 1)) * STEPS;
    };
    const valueAt = (position) => {
      const share = position / STEPS;
      const value = log ? low * Math.pow(high / low, share) : low + share * (high - low);
      return spec.step ? Math.round(value / spec.step) * spec.step : Number(value.toPrecision(4));
    };
    const unit = spec.unit ? ` ${spec.unit}` : "";
    const id = `s-${spec.key}`.replace(/[^\w-]/g, "-");
    const describe = (value) => `${digits(value)}${unit}`;
    const box = make("input", {
      type: "number", class: "exact", step: spec.step || "any", value: digits(spec.value),
      "aria-label": `${spec.label}, exact value${unit ? ` in${unit}` : ""}`, "data-key": `exact-${spec.key}`,
    });
    const range = make("input", {
      type: "range", id, min: 0, max: STEPS, step: "any", "data-key": spec.key, "aria-valuetext": describe(spec.value),
    });
    range.value = place(spec.value);
    const mark = () => item.classList.toggle("moved", Number(box.value) !== Number(digits(spec.first)));
    const show = (value) => { range.setAttribute("aria-valuetext", describe(value)); mark(); };
    range.addEventListener("input", () => {
      const value = valueAt(Number(range.value));
      box.value = digits(value);
      show(value);
      set(spec.key, value);
    });
    range.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 4, ArrowUp: 4, ArrowLeft: -4, ArrowDown: -4, PageUp: 40, PageDown: -40 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      // A step of a whole number is one of them, however long the slider is.
      const least = spec.step ? (STEPS * spec.step) / (high - low || 1) : 0;
      const move = Math.sign(step) * Math.max(Math.abs(step), least);
      range.value = Math.min(STEPS, Math.max(0, Number(range.value) + move));
      range.dispatchEvent(new Event("input"));
    });
    box.addEventListener("change", () => {
      const value = Number(box.value);
      if (box.value === "" || !Number.isFinite(value)) { box.value = digits(spec.value); return; }
      range.value = place(value);
      show(value);
      set(spec.key, value);
    });
    const again = make("button", {
      type: "button", class: "again", title: `back to ${describe(spec.first)}`,
      "aria-label": `${spec.label} back to ${describe(spec.first)}`,
      onclick: () => { box.value = digits(spec.first); range.value = place(spec.first); show(spec.first); set(spec.key, spec.first); },
    }, "↺");
    const name = make("label", { for: id }, spec.label, spec.unit ? make("span", { class: "unit" }, ` ${spec.unit}`) : null);
    const item = make("div", { class: "slider" },
      make("div", { class: "line" }, name, again, box), range,
      spec.help ? make("p", { class: "help" }, spec.help) : null);
    mark();
    return item;
  };

  const choice = (label, key, options, value, change) => {
    const list = make("select", { id: `c-${key}`, "data-key": key, onchange: (event) => change(event.target.value) });
    for (const [name, text] of options) list.append(make("option", { value: name, selected: name === value }, text));
    return make("div", { class: "choice" }, make("label", { for: `c-${key}` }, label), list);
  };
  const button = (text, key, click, extra = {}) => make("button", { type: "button", "data-key": key, onclick: click, ...extra }, text);
  const tick = (text, key, checked, change) =>
    make("label", { class: "tick" }, make("input", { type: "checkbox", checked, "data-key": key, onchange: (e) => change(e.target.checked) }), ` ${text}`);

  const section = (spec) => {
    const body = make("details", { open: spec.open, class: "group" }, make("summary", {}, spec.title), ...spec.sliders.map(slider));
    if (spec.dose !== undefined)
      body.append(button("Take this dose away", `drop-${spec.dose}`, () => act("drop_dose", spec.dose), { class: "quiet" }));
    return body;
  };

  const scenarios = (spec) => {
    const name = make("input", { type: "text", id: "scenario-name", maxlength: 60, placeholder: "for instance: half the dose", "data-key": "scenario-name" });
    const keep = () => { act("keep", name.value); name.value = ""; };
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") keep(); });
    const kept = spec.scenarios.map((title, index) =>
      make("li", {}, make("span", { class: "swatch", style: `background:${spec.colours[index]}` }), make("span", { class: "title" }, title),
        button("Show", `load-${index}`, () => act("load", index), { "aria-label": `Show the settings of ${title}` }),
        button("Forget", `forget-${index}`, () => act("forget", index), { "aria-label": `Forget ${title}`, class: "quiet" })));
    return make("details", { open: true, class: "group" }, make("summary", {}, "Compare scenarios"),
      make("label", { for: "scenario-name" }, "Keep the settings of now as"),
      make("div", { class: "line" }, name, button("Keep", "keep", keep)),
      kept.length ? make("ul", { class: "kept" }, ...kept) : null);
  };

  let csv, netcdf, share;
  const output = () => {
    csv = make("a", { download: true, "data-key": "csv" }, "CSV of bands");
    netcdf = make("a", { download: true, "data-key": "netcdf" }, "netCDF of all patients");
    share = button("Copy a link to this view", "share", async () => {
      try { await navigator.clipboard.writeText(window.location.href); share.textContent = "Copied"; }
      catch { share.textContent = "The address bar has the link"; }
      setTimeout(() => { share.textContent = "Copy a link to this view"; }, 2000);
    });
    return make("div", { class: "group output" }, make("h3", {}, "Take away"), make("div", { class: "line" }, csv, netcdf), share);
  };

  const build = () => {
    const spec = model.spec;
    const focused = el.getRootNode().activeElement?.dataset?.key;
    const top = make("div", { class: "group" });
    if (spec.experiments.length > 1)
      top.append(choice("Experiment", "experiment", spec.experiments, spec.experiment, (v) => act("experiment", v)));
    if (spec.people.length > 1) top.append(choice("Of whom", "whom", spec.people, spec.whom, (v) => act("whom", v)));
    top.append(choice("Endpoints of", "endpoint", spec.variables.map((v) => [v, v]), spec.endpoint, (v) => act("endpoint", v)));
    const shown = make("fieldset", {}, make("legend", {}, "Shown"));
    for (const name of spec.variables)
      shown.append(tick(name, `show-${name}`, spec.shown.includes(name), (on) => act("show", [name, on])));
    top.append(shown, tick("Logarithmic values", "log", spec.log, (on) => act("log", on)), ...spec.general.map(slider));
    const add = choice("Add a dose into", "add-dose", [["", "choose…"], ...spec.states.map((v) => [v, v])], "", (v) => v && act("add_dose", v));
    root.replaceChildren(
      make("div", { class: "head" }, make("h2", {}, "Set"), button("Reset all", "reset", () => act("reset", null), { class: "quiet" })),
      top, ...spec.groups.map(section), add, scenarios(spec), output());
    link(spec.query);
    if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  };
  const link = (query) => {
    csv.href = `download.csv?${query}`;
    netcdf.href = `download.nc?${query}`;
    window.history.replaceState(null, "", query ? `?${query}` : window.location.pathname);
  };

  const heard = (event) => {
    const answer = event.data ?? event;
    link(answer.query);
    root.dataset.answered = String(Math.round(performance.now() - begun));
    // Two frames later the canvases show what was computed.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      root.dataset.drawn = String(answer.seq);
      root.dataset.milliseconds = String(Math.round(performance.now() - begun));
      busy = false;
      delete root.dataset.busy;
      flush();
    }));
  };
  model.on("msg:custom", heard);
  model.on("spec", build);
  build();
  root.dataset.drawn = "0";
  el.append(root);
}
