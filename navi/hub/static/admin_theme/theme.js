"use strict";
/* The theme of the admin is the hub's: one choice for both, kept under one name. Loaded in <head> without defer:
   the theme is set before the first paint. And: a filter's drop-down closes as people expect. */
(() => {
  const modes = ["auto", "light", "dark"];
  const root = document.documentElement;

  function remembered(value) {
    try { return value === undefined ? localStorage.getItem("navi-theme") : localStorage.setItem("navi-theme", value); } catch { return null; }
  }

  root.dataset.theme = modes.includes(remembered()) ? remembered() : "auto";

  document.addEventListener("click", (event) => {
    if (!event.target.closest(".theme-toggle")) return;
    root.dataset.theme = modes[(modes.indexOf(root.dataset.theme) + 1) % modes.length];
    remembered(root.dataset.theme);
  });

  const close = (filter) => { filter.open = false; };
  const opened = () => [...document.querySelectorAll(".filter[open]")];

  document.addEventListener("click", (event) => opened().filter((filter) => !filter.contains(event.target)).forEach(close));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    opened().forEach((filter) => { close(filter); filter.querySelector("summary").focus(); });
  });
})();
