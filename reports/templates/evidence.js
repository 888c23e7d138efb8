// Gives the charts the reader's colours and the screen's room, and opens what is folded on paper.
(async () => {
  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents.every((doc) => doc.is_idle)) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const models = () => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()]);
  const accent = ["#2258b8", "#86b1ff"], orange = ["#b4520a", "#ffa657"], grey = ["#667380", "#98a5b2"];
  const hues = {
    evidence: accent, line: accent, second: orange, against: ["#b3261e", "#ff9b91"], none: grey, little: grey, soft: grey,
    placebo: grey, activated: accent, absorbed: accent, rejected: accent,
  };
  const hollow = ["none", "little", "placebo"];
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const dark = darkScheme.matches && !matchMedia("print").matches;
    const text = dark ? "#c9d1d9" : "#3a4552";
    const grid = dark ? "#39424d" : "#d5dbe2";
    const page = dark ? "#12171d" : "#ffffff";
    for (const model of models()) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, {
          axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid, major_tick_line_color: grid,
        });
      } else if (model.type === "Grid") model.grid_line_color = grid;
      else if (model.type === "GlyphRenderer" && hues[model.name]) {
        const hue = hues[model.name][Number(dark)], glyph = model.glyph;
        if (glyph.type === "HBar") Object.assign(glyph, { fill_color: hue, line_color: page, hatch_color: page });
        else {
          glyph.line_color = hue;
          if (glyph.type === "Scatter") glyph.fill_color = hollow.includes(model.name) ? page : hue;
        }
      }
    }
  }
  function fit() {
    const narrow = innerWidth < 700;
    for (const model of models()) {
      if (model.type === "DatetimeAxis") model.ticker.desired_num_ticks = narrow ? 3 : 6;
    }
  }
  fit();
  paint();
  darkScheme.addEventListener("change", paint);
  // Paper has no summary to click on.
  let opened = [];
  addEventListener("beforeprint", () => {
    paint();
    opened = [...document.querySelectorAll("details:not([open]):not(.months)")];
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
    paint();
  });
  addEventListener("resize", fit);
  document.body.dataset.ready = "yes";
})();
