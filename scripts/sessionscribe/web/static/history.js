"use strict";
(() => {
  const place = document.getElementById("costs");
  if (!place || !window.uPlot) return;
  const days = JSON.parse(place.dataset.days);
  const times = days.map((day) => Date.parse(day.day) / 1000);
  const costs = days.map((day) => Object.values(day.cost)[0] ?? null);
  new uPlot({
    width: Math.min(900, place.clientWidth), height: 220, title: "Cost by day",
    series: [{}, { label: "cost", stroke: "#1f5fa8", width: 2, points: { show: true } }],
  }, [times, costs], place);
})();
