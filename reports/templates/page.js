// Redraws what is looked at, follows the reader's colours, and takes a click on a trade to the chart.
(async () => {
  const packed = JSON.parse(document.getElementById("bars").textContent);
  const missing = -2147483648;

  async function unpack(column) {
    const bytes = Uint8Array.from(atob(column.packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const steps = new Int32Array(await new Response(stream).arrayBuffer());
    const out = new Float64Array(steps.length);
    let whole = 0;
    for (let i = 0; i < steps.length; i++) {
      if (steps[i] === missing) { out[i] = NaN; continue; }
      whole += steps[i];
      out[i] = column.start + whole * column.unit;
    }
    return out;
  }

  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents[0].is_idle) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const doc = Bokeh.documents[0];
  const models = () => [...doc._all_models.values()];
  const named = (name) => models().find((model) => model.name === name);
  const time = named("time");
  const source = named("bars");
  const priceRange = named("price range");
  const plots = models().filter((model) => model.type === "Figure");

  function paint() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const text = dark ? "#c9d1d9" : "#3a4552";
    const grid = dark ? "#39424d" : "#d5dbe2";
    for (const model of models()) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, {
          axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid,
          major_tick_line_color: grid, minor_tick_line_color: null, axis_label_text_font_style: "normal",
        });
      } else if (model.type === "Grid") {
        model.grid_line_color = grid;
      }
    }
  }
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  // A finger that scrolls the page must not move the chart.
  if (matchMedia("(pointer: coarse), (max-width: 700px)").matches) {
    for (const plot of plots) { plot.toolbar.active_drag = null; plot.toolbar.active_scroll = null; }
  }

  const names = Object.keys(packed.columns);
  const unpacked = await Promise.all(names.map((name) => unpack(packed.columns[name])));
  const bars = Object.fromEntries(names.map((name, i) => [name, unpacked[i]]));
  const start = packed.columns.t.start;
  const count = bars.t.length;
  for (let i = 0; i < count; i++) bars.t[i] = start + (bars.t[i] - start) * packed.step;

  function at(moment) {
    let low = 0, high = count;
    while (low < high) { const mid = (low + high) >> 1; bars.t[mid] < moment ? low = mid + 1 : high = mid; }
    return low;
  }

  function summed(first, last) {
    const factor = Math.max(1, Math.ceil((last - first) / packed.drawn));
    const out = {};
    for (const name of Object.keys(source.data)) out[name] = [];
    for (let i = first; i < last; i += factor) {
      const end = Math.min(i + factor, last) - 1;
      let high = -Infinity, low = Infinity, fall = 0;
      for (let j = i; j <= end; j++) {
        if (bars.high[j] > high) high = bars.high[j];
        if (bars.low[j] < low) low = bars.low[j];
        if (bars.drawdown[j] < fall) fall = bars.drawdown[j];
      }
      const right = bars.t[end] + packed.step;
      out.t.push(bars.t[i]); out.mid.push((bars.t[i] + right) / 2); out.width.push((right - bars.t[i]) * 0.7);
      out.open.push(bars.open[i]); out.close.push(bars.close[end]); out.high.push(high); out.low.push(low);
      out.drawdown.push(fall); out.equity.push(bars.equity[end]);
      out.imbalance.push(Math.exp(bars.imbalance[end]));
      out.funding_rate.push(bars.funding_rate[end]); out.oi_base.push(bars.oi_base[end]);
      out.colour.push(bars.close[end] >= bars.open[i] ? "#1a7f64" : "#c0392b");
    }
    return out;
  }

  let waiting = 0;
  function redraw() {
    waiting = 0;
    const first = Math.max(at(time.start) - 1, 0);
    const last = Math.min(at(time.end) + 1, count);
    if (last - first < 2) return;
    const data = summed(first, last);
    source.data = data;
    const high = Math.max(...data.high), low = Math.min(...data.low);
    const margin = (high - low) * 0.06 || high * 0.01;
    priceRange.setv({ start: low - margin, end: high + margin });
    document.body.dataset.drawn = String(data.t.length);
  }
  const later = () => { if (!waiting) waiting = requestAnimationFrame(redraw); };
  time.properties.start.change.connect(later);
  time.properties.end.change.connect(later);

  function show(row) {
    const from = Number(row.dataset.from), to = Number(row.dataset.to);
    const pad = Math.max((to - from) * 1.5, packed.step * 60);
    time.setv({ start: from - pad, end: to + pad });
    for (const other of document.querySelectorAll("tr.chosen")) other.classList.remove("chosen");
    row.classList.add("chosen");
    document.getElementById("price").scrollIntoView({ behavior: "smooth", block: "center" });
  }
  for (const button of document.querySelectorAll("button.show")) {
    button.addEventListener("click", () => show(button.closest("tr")));
  }
  document.getElementById("all").addEventListener("click", () => {
    time.setv({ start: bars.t[0], end: bars.t[count - 1] + packed.step });
  });
  document.body.dataset.ready = "yes";
})();
