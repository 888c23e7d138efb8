// Gives the charts the reader's colours and the screen's room, and copies commands.
(async () => {
  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents.every((doc) => doc.is_idle)) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const models = () => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()]);
  const scores = models().find((model) => model.name === "score colours");
  const onPaper = scores && [...scores.palette];
  const onDark = ["#2b333d", "#33455e", "#3b567f", "#4669a3", "#557dc6", "#6a95e6", "#86b1ff", "#b5d0ff"];
  const hues = {
    winner: ["#b4520a", "#ffa657"], line: ["#2258b8", "#86b1ff"], soft: ["#7f8c9a", "#8b98a6"], words: ["#3a4552", "#c9d1d9"],
  };

  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const dark = darkScheme.matches && !matchMedia("print").matches;
    const text = dark ? "#c9d1d9" : "#3a4552";
    const grid = dark ? "#39424d" : "#d5dbe2";
    for (const model of models()) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, {
          axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid, major_tick_line_color: grid,
        });
      } else if (model.type === "Grid") model.grid_line_color = grid;
      else if (model.type === "GlyphRenderer" && hues[model.name]) {
        const hue = hues[model.name][Number(dark)], glyph = model.glyph;
        const page = dark ? "#12171d" : "#ffffff";
        if (glyph.type === "Text") Object.assign(glyph, { text_color: hue, background_fill_color: page });
        else if (glyph.type === "Scatter") {
          glyph.fill_color = hue;
          // A rim of the page's own colour tells marks apart that lie on each other.
          glyph.line_color = model.name === "soft" ? hue : page;
        } else glyph.line_color = hue;
      }
    }
    if (scores) scores.palette = dark ? onDark : onPaper;
  }
  function fit() {
    const narrow = innerWidth < 700;
    for (const model of models()) {
      if (model.type === "Figure") model.min_border_left = model.name === "parallel" ? 0 : narrow ? 52 : 64;
      else if (model.type === "DatetimeAxis") model.ticker.desired_num_ticks = narrow ? 3 : 6;
    }
  }
  fit();
  paint();
  darkScheme.addEventListener("change", paint);
  addEventListener("beforeprint", paint);
  addEventListener("afterprint", paint);
  addEventListener("resize", fit);

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const shown = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(shown);
      try {
        await navigator.clipboard.writeText(shown.textContent);
        button.textContent = "Copied";
      } catch {
        // Where a page from a file may not write to the clipboard, what is selected can be copied by hand.
        button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
    });
  }
  document.body.dataset.ready = "yes";
})();
