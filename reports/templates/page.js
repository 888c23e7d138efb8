// Redraws what is looked at, follows the reader's colours, and takes a click on a trade to the chart.
(async () => {
  const packed = JSON.parse(document.getElementById("bars").textContent);
  const step = packed.step;
  const missing = 0xffffffff;

  // What packing.py packed: gzipped, in base64.
  function opened(packed) {
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
  }

  // A column is whole steps: sign in the lowest bit, bytes plane by plane.
  async function steps(column) {
    const plane = new Uint8Array(await opened(column.packed).arrayBuffer());
    const n = plane.length / 4;
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const u = (plane[i] | plane[n + i] << 8 | plane[2 * n + i] << 16 | plane[3 * n + i] << 24) >>> 0;
      out[i] = u === missing ? NaN : (u >>> 1) ^ -(u & 1);
    }
    return out;
  }

  function summedUp(moves, column) {
    let whole = 0;
    return moves.map((move) => Number.isNaN(move) ? NaN : column.start + (whole += move) * column.unit);
  }

  async function unpack() {
    const columns = packed.columns;
    const names = Object.keys(columns);
    const moves = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await steps(columns[name])])));
    const bars = {};
    for (const name of names) {
      if (!["t", "open", "high", "low", "close"].includes(name)) bars[name] = summedUp(moves[name], columns[name]);
    }
    const n = moves.t.length, unit = columns.open.unit;
    for (const name of ["t", "open", "high", "low", "close", "hold"]) bars[name] = new Float64Array(n);
    let bar = 0, close = 0;
    for (let i = 0; i < n; i++) {
      bar += moves.t[i];
      bars.t[i] = columns.t.start + bar * step;
      const open = close + moves.open[i];
      close = open + moves.close[i];
      bars.open[i] = open * unit;
      bars.close[i] = close * unit;
      bars.high[i] = (Math.max(open, close) + moves.high[i]) * unit;
      bars.low[i] = (Math.min(open, close) - moves.low[i]) * unit;
      bars.hold[i] = packed.cash * bars.close[i] / bars.open[0] * bars.held_share[i];
      bars.imbalance[i] = Math.exp(bars.imbalance[i]);
    }
    return bars;
  }

  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents[0].is_idle) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const doc = Bokeh.documents[0];
  const models = () => [...doc._all_models.values()];
  const named = (name) => models().find((model) => model.name === name);
  const [time, source, priceRange, ratioRange, trades] =
    ["time", "bars", "price range", "imbalance range", "trades"].map(named);

  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const dark = darkScheme.matches && !matchMedia("print").matches;
    const text = dark ? "#c9d1d9" : "#3a4552";
    const grid = dark ? "#39424d" : "#d5dbe2";
    const ink = dark ? "#e4e9ef" : "#1d2530";
    const line = dark ? "#86b1ff" : "#2258b8";
    for (const model of models()) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, {
          axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid,
          major_tick_line_color: grid, minor_tick_line_color: null, axis_label_text_font_style: "normal",
        });
      } else if (model.type === "Grid") model.grid_line_color = grid;
      else if (model.type === "Legend") model.label_text_color = text;
      else if (model.name === "candles") model.palette = [ink, dark ? "#12171d" : "#ffffff"];
      else if (model.name === "ink") model.glyph.line_color = ink;
      else if (model.name === "line") model.glyph.line_color = line;
      else if (model.name === "run label") model.text_color = line;
    }
  }
  paint();
  darkScheme.addEventListener("change", paint);
  addEventListener("beforeprint", paint);
  addEventListener("afterprint", paint);

  const plots = models().filter((model) => model.type === "Figure");
  // A finger that scrolls the page must not move the chart.
  if (matchMedia("(pointer: coarse), (max-width: 700px)").matches) {
    for (const plot of plots) {
      plot.toolbar.active_drag = null;
      plot.toolbar.active_scroll = null;
    }
  }

  function fit() {
    const narrow = innerWidth < 700;
    for (const plot of plots) plot.min_border_left = narrow ? 66 : 84;
    for (const model of models()) {
      if (model.type === "DatetimeAxis") model.ticker.desired_num_ticks = narrow ? 3 : 6;
      else if (model.name === "mark") model.glyph.size = narrow ? 7 : 11;
    }
  }
  fit();

  const bars = await unpack();
  const count = bars.t.length;
  const begin = bars.t[0], end = bars.t[count - 1] + step;

  function at(moment) {
    let low = 0, high = count;
    while (low < high) { const mid = (low + high) >> 1; bars.t[mid] < moment ? low = mid + 1 : high = mid; }
    return low;
  }

  const lastOf = ["equity", "hold", "oi_base"];
  // A spike that is left out looks as if it had not been: of these the value farthest from even (packing.py).
  const farthestOf = { imbalance: (ratio) => Math.abs(Math.log(ratio)), funding_rate: Math.abs };
  function drawn(first, last) {
    const room = Math.max(document.getElementById("price").clientWidth - 90, 200);
    const factor = Math.max(1, Math.ceil((last - first) / (room / 2)));
    const size = Math.ceil((last - first) / factor);
    const out = {};
    for (const name of Object.keys(source.data)) out[name] = new Float64Array(size);
    for (let i = first, k = 0; i < last; i += factor, k++) {
      const stop = Math.min(i + factor, last) - 1;
      let high = -Infinity, low = Infinity, fall = 0;
      for (let j = i; j <= stop; j++) {
        if (bars.high[j] > high) high = bars.high[j];
        if (bars.low[j] < low) low = bars.low[j];
        if (bars.drawdown[j] < fall) fall = bars.drawdown[j];
      }
      const right = bars.t[stop] + step;
      out.t[k] = bars.t[i]; out.mid[k] = (bars.t[i] + right) / 2; out.width[k] = (right - bars.t[i]) * 0.7;
      out.open[k] = bars.open[i]; out.close[k] = bars.close[stop]; out.high[k] = high; out.low[k] = low;
      out.rose[k] = Number(bars.close[stop] >= bars.open[i]); out.drawdown[k] = fall;
      for (const name of lastOf) out[name][k] = bars[name][stop];
      for (const [name, away] of Object.entries(farthestOf)) {
        let most = i, far = -1;
        for (let j = i; j <= stop; j++) {
          const here = away(bars[name][j]);
          if (here > far) { far = here; most = j; }
        }
        out[name][k] = bars[name][most];
      }
    }
    return out;
  }

  // A trade that is looked at keeps its tier, stop and target in the picture.
  function tradeLevels() {
    const chosen = rows.find((row) => row.classList.contains("chosen"));
    if (!chosen || !trades || Number(chosen.dataset.from) < time.start || Number(chosen.dataset.to) > time.end) return [];
    const i = [...trades.data.number].indexOf(Number(chosen.dataset.trade));
    if (time.end - time.start > 40 * (trades.data.exit[i] - trades.data.armed[i] + 60 * step)) return [];
    return ["lower", "upper", "stop", "target", "entry_price", "exit_price"]
      .map((name) => trades.data[name][i]).filter(Number.isFinite);
  }

  const shown = document.getElementById("shown");
  const minute = (moment) => new Date(moment).toISOString().slice(0, 16).replace("T", " ");
  let waiting = 0;
  function redraw() {
    waiting = 0;
    const first = Math.min(Math.max(at(time.start) - 1, 0), Math.max(count - 2, 0));
    const last = Math.max(Math.min(at(time.end) + 1, count), Math.min(first + 2, count));
    const data = drawn(first, last);
    source.data = data;
    let high = -Infinity, low = Infinity;
    for (const value of data.high) if (value > high) high = value;
    for (const value of data.low) if (value < low) low = value;
    for (const level of tradeLevels()) { high = Math.max(high, level); low = Math.min(low, level); }
    const margin = (high - low) * 0.06 || high * 0.01;
    priceRange.setv({ start: low - margin, end: high + margin });
    const ratios = data.imbalance.filter(Number.isFinite);
    if (ratioRange && ratios.length) {
      ratioRange.setv({
        start: Math.min(ratios.reduce((a, b) => Math.min(a, b)) / 1.2, 0.8),
        end: Math.max(ratios.reduce((a, b) => Math.max(a, b)) * 1.2, 1.25),
      });
    }
    shown.value = `${minute(Math.max(time.start, begin))} to ${minute(Math.min(time.end, end))} UTC`;
    document.body.dataset.drawn = String(data.t.length);
  }
  const later = () => { if (!waiting) waiting = requestAnimationFrame(redraw); };
  time.properties.start.change.connect(later);
  time.properties.end.change.connect(later);
  addEventListener("resize", () => { fit(); later(); });

  function look(start, stop) {
    const span = Math.min(Math.max(stop - start, 10 * step), end - begin);
    const left = Math.min(Math.max((start + stop - span) / 2, begin), end - span);
    time.setv({ start: left, end: left + span });
    later();
  }
  const span = () => time.end - time.start;
  const middle = () => (time.start + time.end) / 2;
  const buttons = {
    all: () => { choose(null); look(begin, end); },
    in: () => look(middle() - span() / 4, middle() + span() / 4),
    out: () => look(middle() - span(), middle() + span()),
    earlier: () => look(time.start - span() / 2, time.end - span() / 2),
    later: () => look(time.start + span() / 2, time.end + span() / 2),
    previous: () => neighbour(-1),
    next: () => neighbour(1),
  };
  for (const [id, act] of Object.entries(buttons)) document.getElementById(id)?.addEventListener("click", act);

  const rows = [...document.querySelectorAll("#trades tbody tr")];
  const stories = await opened(document.getElementById("stories").textContent).json();
  const story = document.getElementById("story");
  const storyOf = new Map(rows.map((row, i) => [row, stories[i]]));
  function tell(row) {
    story.hidden = !row;
    if (!row) return;
    const [[title, result], ...lines] = storyOf.get(row);
    const heading = document.createElement("h3");
    heading.textContent = `${title}: ${result}`;
    const list = document.createElement("dl");
    for (const [what, how] of lines) {
      const term = document.createElement("dt"), detail = document.createElement("dd");
      term.textContent = what; detail.textContent = how;
      list.append(term, detail);
    }
    story.replaceChildren(heading, list);
  }

  // Thousands of rows at once make a page slow: as many are shown as are asked for.
  const few = 200;
  let most = few;
  const [reason, side, order, more, listed] = ["reason", "side", "order", "more", "listed"].map((id) => document.getElementById(id));
  let ordered = rows;
  function list() {
    const sign = Number(order.value);
    ordered = rows.filter((row) => (!reason.value || row.dataset.reason === reason.value)
      && (!side?.value || row.dataset.side === side.value));
    if (sign) ordered.sort((a, b) => sign * (Number(b.dataset.net) - Number(a.dataset.net)));
    document.querySelector("#trades tbody").replaceChildren(...ordered.slice(0, most));
    more.hidden = ordered.length <= most;
    listed.value = ordered.length === rows.length && ordered.length <= most ? ""
      : `${Math.min(most, ordered.length).toLocaleString("en")} of ${rows.length.toLocaleString("en")} trades shown`;
  }
  if (rows.length) {
    for (const choice of [reason, side, order]) choice?.addEventListener("change", () => { most = few; list(); });
    more.addEventListener("click", () => { most += few; list(); });
    list();
  }
  function choose(row) {
    for (const other of rows) other.classList.remove("chosen");
    tell(row);
    if (!row) return;
    row.classList.add("chosen");
    const from = Number(row.dataset.from), to = Number(row.dataset.to);
    const pad = Math.max((to - from) * 1.5, step * 60);
    look(from - pad, to + pad);
  }
  function neighbour(direction) {
    if (!ordered.length) return;
    const i = ordered.findIndex((row) => row.classList.contains("chosen"));
    const row = ordered[i < 0 ? (direction > 0 ? 0 : ordered.length - 1) : (i + direction + ordered.length) % ordered.length];
    choose(row);
    shown.value = `trade ${row.dataset.trade}`;
  }
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  for (const row of rows) {
    row.addEventListener("click", () => {
      choose(row);
      document.getElementById("price").scrollIntoView({ behavior: calm, block: "center" });
    });
  }
  for (const row of document.querySelectorAll("#levels tbody tr")) {
    row.addEventListener("click", () => {
      choose(null);
      const at = Number(row.dataset.at), pad = Math.max(12 * 3_600_000, 60 * step);
      look(at - pad, at + pad);
      document.getElementById("price").scrollIntoView({ behavior: calm, block: "center" });
    });
  }
  redraw();
  document.body.dataset.ready = "yes";
})();
