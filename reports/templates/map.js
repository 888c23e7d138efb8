// Draws the map at the zoom that is looked at, follows the reader's colours, and reads out what is pointed at.
(async () => {
  const map = JSON.parse(document.getElementById("data").textContent);
  const smallestBar = 3.5;  // px; thinner bars are summed

  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents[0].is_idle) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const models = () => [...Bokeh.documents[0]._all_models.values()];
  const named = (name) => models().find((model) => model.name === name);
  const [plot, prices, barRange, cumulativeRange, barAxis, cursor, labels] =
    ["map", "price range", "bar range", "cumulative range", "bar axis", "cursor", "labels"].map(named);
  const chart = document.getElementById("map");
  const readout = document.getElementById("readout");
  const narrow = () => innerWidth < 700;

  // As formatting.py writes them; a browser test holds the two equal.
  function money(value) {
    for (const [limit, unit] of [[1e9, " B"], [1e6, " M"]]) {
      if (value >= limit) return (value / limit).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) + unit;
    }
    const places = value >= 100 ? 0 : 2;
    return value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  }
  const priceText = (value) => value.toLocaleString("en-US", { minimumFractionDigits: map.places, maximumFractionDigits: map.places });
  const percentText = (value) => (value < 0 ? "-" : "+") + Math.abs(100 * value).toFixed(1) + "%";

  for (const side of [map.shorts, map.longs]) {
    let total = 0;
    side.cumulative = side.notional.map((value) => total += value);
  }

  // How many bins go into one bar: counted from price, so that a bar's far edge is where its sum ends.
  function binsInBar() {
    const pixels = map.price * map.bin_width * plot.inner_height / (prices.end - prices.start);
    return [1, 2, 3, 5, 10, 20, 50].find((count) => count * pixels >= smallestBar) ?? 100;
  }

  function rowsOf(side, count) {
    const out = { bottom: [], top: [], notional: [], range: [], distance: [], notional_text: [], cumulative_text: [] };
    for (let first = 0; first < side.notional.length; first += count) {
      const next = Math.min(first + count, side.notional.length);
      let sum = 0;
      for (let i = first; i < next; i++) sum += side.notional[i];
      const [bottom, top] = [side.edges[first], side.edges[next]].sort((a, b) => a - b);
      out.bottom.push(bottom);
      out.top.push(top);
      out.notional.push(sum);
      out.range.push(`${priceText(bottom)} to ${priceText(top)}`);
      out.distance.push(percentText((bottom + top) / 2 / map.price - 1));
      out.notional_text.push(`${money(sum)} ${map.currency}`);
      out.cumulative_text.push(`${money(side.cumulative[next - 1])} ${map.currency}`);
    }
    return out;
  }

  // Places for labels: in order, at least `gap` apart, as near to their targets as that allows (the
  // pool-adjacent-violators algorithm, as in map_image.py).
  function spread(targets, gap, low, high) {
    const pools = [];
    targets.forEach((target, i) => {
      pools.push({ sum: target - i * gap, count: 1 });
      while (pools.length > 1 && pools.at(-2).sum * pools.at(-1).count >= pools.at(-1).sum * pools.at(-2).count) {
        const last = pools.pop();
        pools.at(-1).sum += last.sum;
        pools.at(-1).count += last.count;
      }
    });
    const end = high - (targets.length - 1) * gap;
    return pools.flatMap(({ sum, count }) => Array(count).fill(Math.max(Math.min(sum / count, end), low)))
      .map((place, i) => place + i * gap);
  }

  // What is labelled in this zoom, from the top.
  function labelled() {
    const shown = map.tiers
      .filter((tier) => tier.upper > prices.start && tier.lower < prices.end)
      .map((tier) => ({ at: (Math.max(tier.lower, prices.start) + Math.min(tier.upper, prices.end)) / 2, text: narrow() ? tier.short_label : tier.label }));
    if (map.price > prices.start && map.price < prices.end) shown.push({ at: map.price, text: `price ${map.price_label}` });
    return shown.sort((a, b) => b.at - a.at);
  }

  const leader = () => narrow() ? 16 : 30;  // px, from a band to its label
  const pen = document.createElement("canvas").getContext("2d");
  function roomFor(shown) {
    pen.font = `${narrow() ? 11 : 12}px helvetica, sans-serif`;
    const widest = Math.max(0, ...shown.map(({ text }) => pen.measureText(text).width));
    return Math.min((widest + leader() + 12) / Math.max(plot.inner_width, 1), 0.7);
  }

  function drawLabels(shown, barEnd, reserved) {
    const height = plot.inner_height;
    const scale = height / (prices.end - prices.start);
    const places = spread(shown.map(({ at }) => (prices.end - at) * scale), narrow() ? 15 : 18, 9, height - 9);
    const left = barEnd * (1 - reserved);
    named("price line").data = { from_x: [0], to_x: [left] };
    for (const model of models()) if (/^tier /.test(model.name)) model.right = left;
    labels.data = {
      from_x: shown.map(() => left * 1.005), from_y: shown.map(({ at }) => at),
      x: shown.map(() => left + leader() * barEnd / plot.inner_width), y: places.map((place) => prices.end - place / scale),
      text: shown.map(({ text }) => text),
    };
  }

  const sides = ["shorts", "longs"];
  let rows = [];
  let waiting = 0;
  function redraw() {
    waiting = 0;
    const count = binsInBar();
    rows = [];
    let widest = 0, furthest = 0;
    for (const name of sides) {
      const data = rowsOf(map[name], count);
      named(name).data = data;
      data.notional.forEach((notional, i) => {
        if (data.top[i] <= prices.start || data.bottom[i] >= prices.end) return;
        widest = Math.max(widest, notional);
        rows.push({ name, bottom: data.bottom[i], top: data.top[i], range: data.range[i], distance: data.distance[i], notional: data.notional_text[i], cumulative: data.cumulative_text[i] });
      });
      map[name].cumulative.forEach((total, i) => {
        const edge = map[name].edges[i + 1];
        if (edge > prices.start && edge < prices.end) furthest = Math.max(furthest, total);
      });
    }
    rows.sort((a, b) => a.bottom - b.bottom);
    const shown = labelled();
    const reserved = roomFor(shown);
    const end = (widest || 1) * 1.04 / (1 - reserved);
    barRange.setv({ start: 0, end });
    cumulativeRange.setv({ start: 0, end: (furthest || 1) * 1.04 / (1 - reserved) });
    barAxis.axis_label = `Bars: ${map.currency} per ${Number((100 * count * map.bin_width).toPrecision(2))}% of price`;
    drawLabels(shown, end, reserved);
    const half = (prices.end - prices.start) / 2 / map.price;
    document.getElementById("all").setAttribute("aria-pressed", String(prices.start <= lowest && prices.end >= highest));
    for (const button of document.querySelectorAll("button.zoom")) {
      button.setAttribute("aria-pressed", String(Math.abs(half - spanOf(Number(button.dataset.distance))) < 1e-6));
    }
    document.body.dataset.drawn = String(rows.length);
    document.body.dataset.bins = String(count);
  }
  const later = () => { if (!waiting) waiting = requestAnimationFrame(redraw); };
  for (const property of [prices.properties.start, prices.properties.end, plot.properties.inner_height, plot.properties.inner_width]) {
    property.change.connect(later);
  }

  const [lowest, highest] = prices.bounds;
  const ends = (distance) => [Math.max(map.price * (1 - distance), lowest), Math.min(map.price * (1 + distance), highest)];
  const spanOf = (distance) => { const [start, end] = ends(distance); return (end - start) / 2 / map.price; };
  function look(start, end) {
    const span = Math.min(end - start, highest - lowest);
    const from = Math.min(Math.max(start, lowest), highest - span);
    prices.setv({ start: from, end: from + span });
    later();
  }
  for (const button of document.querySelectorAll("button.zoom")) {
    button.addEventListener("click", () => look(...ends(Number(button.dataset.distance))));
  }
  document.getElementById("all").addEventListener("click", () => look(lowest, highest));
  const move = (share) => { const step = share * (prices.end - prices.start); look(prices.start + step, prices.end + step); };
  document.getElementById("higher").addEventListener("click", () => move(0.25));
  document.getElementById("lower").addEventListener("click", () => move(-0.25));

  function tell(row) {
    if (!row) return;
    cursor.setv({ location: (row.bottom + row.top) / 2, visible: true });
    readout.value = `${row.range} (${row.distance}): ${row.notional} of ${row.name}; from price to here ${row.cumulative}`;
  }
  const rowAt = (price) => rows.find((row) => price >= row.bottom && price < row.top);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  for (const button of document.querySelectorAll("button[data-tier]")) {
    button.addEventListener("click", () => {
      const tier = map.tiers.find(({ name }) => name === button.dataset.tier);
      const reach = Math.max(tier.upper - tier.lower, 0.02 * map.price);
      look(tier.lower - 2 * reach, tier.upper + 2 * reach);
      requestAnimationFrame(() => requestAnimationFrame(() => tell(rowAt((tier.lower + tier.upper) / 2))));
      chart.scrollIntoView({ behavior: calm, block: "center" });
    });
  }

  // The row of the price under the pointer, also where a finger has no hover.
  function pointed(event) {
    const frame = Bokeh.index.get_one(plot);
    const area = frame.canvas_view.el.getBoundingClientRect();
    tell(rowAt(frame.frame.y_scale.invert(event.clientY - area.y)));
  }
  chart.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" && !event.buttons) pointed(event); });
  chart.addEventListener("click", pointed);

  const strides = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
  function step(stride) {
    const at = cursor.visible ? cursor.location : map.price;
    const nearest = stride > 0 ? rows.findIndex((row) => (row.bottom + row.top) / 2 > at * (1 + 1e-12))
      : rows.findLastIndex((row) => (row.bottom + row.top) / 2 < at * (1 - 1e-12));
    if (nearest < 0) { move(stride > 0 ? 0.25 : -0.25); return; }
    tell(rows[Math.min(Math.max(nearest + stride - Math.sign(stride), 0), rows.length - 1)]);
  }
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home") {
      cursor.setv({ location: map.price, visible: false });
      readout.value = `price ${map.price_label}`;
    } else if (strides[event.key]) step(strides[event.key]);
    else return;
    event.preventDefault();
  });

  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const dark = darkScheme.matches && !matchMedia("print").matches;
    const text = dark ? "#c9d1d9" : "#3a4552";
    const grid = dark ? "#39424d" : "#d5dbe2";
    const ink = dark ? "#e4e9ef" : "#1d2530";
    for (const model of models()) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, {
          axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid,
          major_tick_line_color: grid, minor_tick_line_color: null, axis_label_text_font_style: "normal",
        });
      } else if (model.type === "Grid") model.grid_line_color = grid;
    }
    for (const side of sides) {
      const hue = map.hues[side][dark ? "dark" : "light"];
      const bars = named(`bars ${side}`);
      bars.glyph.fill_color = hue;
      bars.hover_glyph.fill_color = ink;
      named(`line ${side}`).glyph.line_color = hue;
      for (const model of models()) if (model.name === `tier ${side}`) model.setv({ fill_color: hue, line_color: hue });
    }
    for (const model of models()) if (model.name === "casing") model.glyph.line_color = dark ? "#12171d" : "#ffffff";
    named("price").glyph.line_color = ink;
    cursor.line_color = text;
    named("leaders").glyph.line_color = text;
    named("label text").glyph.text_color = ink;
  }
  paint();
  darkScheme.addEventListener("change", paint);
  addEventListener("beforeprint", paint);
  addEventListener("afterprint", paint);

  function fit() {
    plot.min_border_left = narrow() ? 60 : 84;
    // A tooltip would not fit beside the pointer: the line above the chart tells the same.
    for (const model of models()) if (model.type === "HoverTool") model.active = !narrow();
    named("label text").glyph.text_font_size = narrow() ? "11px" : "12px";
    for (const name of ["bar axis", "cumulative axis"]) named(name).ticker.desired_num_ticks = narrow() ? 4 : 6;
    later();
  }
  addEventListener("resize", fit);
  // A finger that scrolls the page must not move the chart.
  if (matchMedia("(pointer: coarse), (max-width: 700px)").matches) {
    plot.toolbar.active_drag = null;
    plot.toolbar.active_scroll = null;
  }
  fit();
  redraw();
  document.body.dataset.ready = "yes";
})();
