// Gives charts that do not zoom the reader's colours, on the screen and on paper.
(async () => {
  while (!window.Bokeh || !Bokeh.documents.length || !Bokeh.documents[0].is_idle) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const models = [...Bokeh.documents[0]._all_models.values()];
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    const dark = darkScheme.matches && !matchMedia("print").matches;
    const text = dark ? "#c9d1d9" : "#3a4552", grid = dark ? "#39424d" : "#d5dbe2";
    for (const model of models) {
      if (/Axis$/.test(model.type)) {
        Object.assign(model, { axis_label_text_color: text, major_label_text_color: text, axis_line_color: grid, major_tick_line_color: grid });
      } else if (model.type === "Grid") model.grid_line_color = grid;
    }
  }
  function fit() {
    for (const model of models) {
      if (model.type === "DatetimeAxis") model.ticker.desired_num_ticks = innerWidth < 700 ? 3 : 7;
    }
  }
  paint(); fit();
  darkScheme.addEventListener("change", paint);
  addEventListener("beforeprint", paint);
  addEventListener("afterprint", paint);
  addEventListener("resize", fit);
  document.body.dataset.ready = "yes";
})();
