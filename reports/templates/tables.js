// Says of each table that is wider than its box that there is more of it.
(() => {
  const boxes = [...document.querySelectorAll(".scroll")];
  const look = () => {
    for (const box of boxes) box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
  };
  look();
  addEventListener("resize", look);
})();
