"use strict";
(() => {
  const place = document.getElementById("graph");
  if (!place || !window.uPlot) return;
  const rows = [...document.querySelectorAll("#used tbody tr")].reverse();
  const times = rows.map((row) => Date.parse(row.firstElementChild.textContent) / 1000);
  const costs = rows.map((row) => JSON.parse(row.dataset.cost));
  const currencies = [...new Set(costs.flatMap(Object.keys))];
  const accent = getComputedStyle(document.querySelector(".ways a")).color;
  const axis = { stroke: getComputedStyle(place).color, grid: { stroke: getComputedStyle(rows[0].cells[0]).borderBottomColor, width: 1 } };
  const step = 86400 * (location.search.includes("by=month") ? 31 : 1);
  new uPlot({
    width: place.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
    series: [{}, ...currencies.map((label) => ({ label, fill: accent, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 40] }) }))],
    axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toISOString().slice(0, 10)) }, axis],
    scales: { x: { range: (_, least, most) => [least - step, most + step] }, y: { range: (_, least, most) => [0, most || 1] } },
  }, [times, ...currencies.map((currency) => costs.map((cost) => cost[currency] ?? null))], place);
})();
