"use strict";
// The player of a session: what the page of `sessionscribe serve` and the exported page have in common.
window.createPlayer = () => {
  const $ = (id) => document.getElementById(id);
  const audio = $("audio"), text = $("text"), overview = $("overview"), duration = Number(overview.dataset.duration) || 1;
  let parts = [], words = [], starts = [], peaks = [];
  let now = null, here = null, following = true;

  // By time, not as they stand: where two talk at once, a paragraph holds words later than the next one's.
  const index = () => {
    parts = [...text.querySelectorAll(".said")];
    const timed = [...text.querySelectorAll("[data-t]")].map((word) => [Number(word.dataset.t), word]);
    timed.sort(([one], [other]) => one - other);
    [starts, words] = [0, 1].map((side) => timed.map((pair) => pair[side]));
    now = here = null;
  };
  const before = (time) => {
    let low = 0, high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= time + 0.05) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const at = (time) => words[Math.max(0, before(time))] ?? null;
  const say = (what, bad = false) => {
    $("state").textContent = what;
    $("state").classList.toggle("bad", bad);
  };
  const choose = (word, scroll = false) => {
    here?.classList.remove("here");
    here = word;
    here?.classList.add("here");
    if (scroll) here?.scrollIntoView({ block: "center" });
  };
  const clock = (time) => new Date(time * 1000).toISOString().slice(11, 19);

  // Clicks seek, the word that is heard lights up, and the page follows until somebody scrolls.
  const seek = (time, play = true) => {
    audio.currentTime = Math.max(0, time);
    // A browser may want a click first, and what pauses at once was not played: neither is a fault.
    if (play) audio.play().catch((error) => {
      if (error.name === "NotSupportedError") say("The audio is not here, or this browser cannot play it.", true);
    });
    follow(true);
    mark();
  };
  const follow = (on) => {
    following = on;
    $("follow").hidden = on || audio.paused;
  };
  const mark = () => {
    const time = audio.currentTime;
    $("clock").textContent = clock(time);
    $("cursor").style.left = `${100 * Math.min(1, time / duration)}%`;
    const word = words[before(time)] ?? null;
    if (word === now) return;
    now?.classList.remove("now");
    word?.classList.add("now");
    now = word;
    if (following && word && !audio.paused) {
      const box = word.getBoundingClientRect();
      if (box.top < 200 || box.bottom > innerHeight - 60) word.scrollIntoView({ block: "center" });
    }
  };
  const play = () => {
    mark();
    if (!audio.paused) requestAnimationFrame(play);
  };
  audio.addEventListener("timeupdate", mark);
  audio.addEventListener("play", () => { $("play").textContent = "❚❚"; play(); });
  audio.addEventListener("pause", () => { $("play").textContent = "▶"; follow(true); });
  audio.preservesPitch = true;
  for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => { if (!audio.paused) follow(false); }, { passive: true });
  const toggle = () => { if (audio.paused) seek(audio.currentTime); else audio.pause(); };
  $("play").addEventListener("click", toggle);
  $("follow").addEventListener("click", () => { follow(true); now?.scrollIntoView({ block: "center" }); });
  const faster = (by) => {
    const choice = $("speed");
    choice.selectedIndex = Math.min(choice.length - 1, Math.max(0, choice.selectedIndex + by));
    audio.playbackRate = Number(choice.value);
  };
  $("speed").addEventListener("change", () => faster(0));
  text.addEventListener("click", (event) => {
    const word = event.target.closest("[data-t]");
    if (event.target.closest(".at")) seek(Number(event.target.closest("[data-start]").dataset.start));
    else if (word && getSelection().isCollapsed) { choose(word); seek(Number(word.dataset.t)); }
  });

  // The overview: the waveform, and below it a lane for each speaker.
  const draw = () => {
    const wave = peaks.length ? 56 : 0, lane = 8, scale = devicePixelRatio, width = overview.clientWidth;
    const lanes = [...new Set(parts.map((part) => part.dataset.who))].sort((one, other) => (one || 1e9) - (other || 1e9));
    const height = wave + lanes.length * lane;
    [overview.width, overview.height] = [width * scale, height * scale];
    overview.style.height = `${height}px`;
    const brush = overview.getContext("2d"), loudest = Math.max(1, ...peaks);
    brush.scale(scale, scale);
    brush.fillStyle = getComputedStyle(overview).color;
    peaks.forEach((peak, number) => {
      const tall = Math.max(1, peak / loudest * (wave - 6));
      brush.fillRect(number * width / peaks.length, (wave - tall) / 2, Math.max(0.5, width / peaks.length), tall);
    });
    const colours = {};
    for (const part of parts) {
      const who = part.dataset.who, from = part.dataset.start / duration * width, to = part.dataset.end / duration * width;
      brush.fillStyle = colours[who] ??= getComputedStyle(part).borderInlineStartColor;
      brush.fillRect(from, wave + lanes.indexOf(who) * lane, Math.max(1, to - from), lane - 2);
    }
  };
  const showPeaks = (found) => { peaks = [...found]; draw(); };
  addEventListener("resize", draw);
  overview.addEventListener("click", (event) => {
    const time = event.offsetX / overview.clientWidth * duration;
    choose(at(time), true);
    seek(time, !audio.paused);
  });

  // Find. Where folding changes the length of a paragraph's text, all of it is the hit.
  const folded = (value) => value.normalize("NFKC").toLowerCase();
  let hits = [], hit = -1;
  const find = () => {
    const wanted = folded($("find").value.trim());
    [hits, hit] = [[], -1];
    for (const part of wanted ? parts.filter((one) => !one.hidden) : []) {
      const walker = document.createTreeWalker(part.querySelector("p"), NodeFilter.SHOW_TEXT), nodes = [];
      let whole = "";
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        nodes.push([whole.length, node]);
        whole += node.data;
      }
      const place = (position) => nodes.findLast(([start]) => start <= position);
      const add = (from, to) => {
        const range = new Range(), [start, first] = place(from), [end, last] = place(to - 1);
        range.setStart(first, from - start);
        range.setEnd(last, to - end);
        hits.push(range);
      };
      const plain = folded(whole);
      if (plain.length !== whole.length) {
        if (plain.includes(wanted)) add(0, whole.length);
        continue;
      }
      for (let i = plain.indexOf(wanted); i >= 0; i = plain.indexOf(wanted, i + wanted.length)) add(i, i + wanted.length);
    }
    if (window.Highlight) CSS.highlights.set("hit", new Highlight(...hits));
    $("hits").textContent = wanted ? `${hits.length} found` : "";
  };
  const step = (by) => {
    if (!hits.length) return;
    hit = hit < 0 && by < 0 ? hits.length - 1 : (hit + by + hits.length) % hits.length;
    $("hits").textContent = `${hit + 1} of ${hits.length}`;
    choose(hits[hit].startContainer.parentElement.closest("[data-t]"), true);
  };
  $("find").addEventListener("input", find);
  $("find").addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") { event.target.value = ""; find(); event.target.blur(); }
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  });

  // Keys; a page adds its own.
  const keys = () => {
    $("key-list").hidden = !$("key-list").hidden;
    $("keys").setAttribute("aria-expanded", String(!$("key-list").hidden));
  };
  $("keys").addEventListener("click", keys);
  const paragraph = (by) => {
    const shown = parts.filter((part) => !part.hidden), own = (here ?? at(audio.currentTime))?.closest(".said");
    const part = shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(own) + by))];
    if (part) { choose(part.querySelector("[data-t]"), true); seek(Number(part.dataset.start), !audio.paused); }
  };
  const actions = {
    " ": toggle,
    ArrowLeft: () => seek(audio.currentTime - 3, !audio.paused),
    ArrowRight: () => seek(audio.currentTime + 3, !audio.paused),
    ArrowUp: () => paragraph(-1),
    ArrowDown: () => paragraph(1),
    "[": () => faster(-1),
    "]": () => faster(1),
    "/": () => $("find").focus(),
    "?": keys,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, dialog, nav")) return;
    if (event.target.closest("button") && event.key === " " || event.target.closest("button, a") && event.key === "Enter") return;
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  index();
  draw();
  const moment = /^#t=([\d.]+)$/.exec(location.hash);
  if (moment) {
    choose(at(Number(moment[1])), true);
    audio.currentTime = Number(moment[1]);
  }
  return {
    actions, at, choose, draw, find, index, say, seek, showPeaks,
    get here() { return here; },
    get hits() { return hits; },
    get now() { return now; },
  };
};
