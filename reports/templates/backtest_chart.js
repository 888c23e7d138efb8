// What a reader does to the price chart besides the buttons: shows or hides the map, and moves it by keys.
(() => {
  const chart = document.getElementById("price");
  const keys = {
    "+": "in", "=": "in", "-": "out", ArrowLeft: "earlier", ArrowRight: "later", Home: "all",
    PageUp: "previous", PageDown: "next",
  };
  chart.addEventListener("keydown", (event) => {
    // Ctrl and plus is the browser's own zoom.
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const button = document.getElementById(keys[event.key] ?? "");
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  const shown = document.getElementById("show-map");
  shown?.addEventListener("change", () => {
    const map = [...Bokeh.documents[0]._all_models.values()].find((model) => model.name === "heatmap");
    map.visible = shown.checked;
  });
})();
