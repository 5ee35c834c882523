"use strict";
const blend = document.getElementById("blend");
const maps = [...document.querySelectorAll("img.map")];
if (blend) {
  const show = () => {
    for (const map of maps) map.style.opacity = blend.value / 100;
    blend.setAttribute("aria-valuetext", `${blend.value} percent map`);
  };
  blend.addEventListener("input", show);
  show();
}
for (const choice of document.querySelectorAll("input[name=map]")) {
  choice.addEventListener("change", () => {
    maps.forEach((map, number) => {
      const chosen = number === Number(choice.value);
      map.hidden = !chosen;
      document.getElementById(`legend-${number}`).hidden = !chosen;
    });
  });
}
