"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const said = all(".said");
  // By time, not as they stand: where two talk at once, a paragraph holds words later than the next one's.
  const words = all("[data-t]").sort((one, other) => one.dataset.t - other.dataset.t);
  const starts = words.map((word) => Number(word.dataset.t));
  const audio = $("audio");

  // Audio: beside the page, or a file that the reader opens. Without one, times only move the page.
  const ready = () => {
    document.body.classList.add("playable");
    $("player").hidden = false;
  };
  audio.addEventListener("loadedmetadata", ready);
  $("open").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) {
      audio.replaceChildren();
      audio.src = URL.createObjectURL(file);
      audio.load();
    }
  });
  const seek = (time) => {
    if (document.body.classList.contains("playable")) {
      audio.currentTime = time;
      audio.play().catch(() => {});
    }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".at");
    const word = event.target.closest("[data-t]");
    if (link) seek(Number(link.parentElement.dataset.start));
    else if (word && getSelection().isCollapsed) seek(Number(word.dataset.t));
  });

  // The word that is heard now: the last one that has begun.
  let now = null;
  audio.addEventListener("timeupdate", () => {
    let low = 0, high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= audio.currentTime + 0.05) low = middle + 1;
      else high = middle;
    }
    const word = low ? words[low - 1] : null;
    if (word !== now) {
      now?.classList.remove("now");
      word?.classList.add("now");
      now = word;
      const box = word?.getBoundingClientRect();
      if (box && !audio.paused && (box.top < 120 || box.bottom > innerHeight - 90)) {
        word.scrollIntoView({ block: "center" });
      }
    }
  });

  // Speakers can be left out, text can be looked for.
  const hidden = new Set();
  let hits = [], at = -1;
  const folded = (text) => text.normalize("NFKC").toLowerCase();
  const find = () => {
    const wanted = folded($("search").value.trim());
    hits = [];
    at = -1;
    for (const part of said) {
      part.hidden = hidden.has(part.dataset.who);
      if (!wanted || part.hidden) continue;
      const text = part.querySelector("p");
      // Where folding changes the length of the text, the whole paragraph is the hit.
      const whole = text.textContent, plain = folded(whole);
      if (plain.length !== whole.length) {
        if (plain.includes(wanted)) hits.push(range(text, 0, whole.length));
        continue;
      }
      for (let i = plain.indexOf(wanted); i >= 0; i = plain.indexOf(wanted, i + wanted.length)) {
        hits.push(range(text, i, i + wanted.length));
      }
    }
    if (window.Highlight) CSS.highlights.set("hit", new Highlight(...hits));
    show();
  };
  const range = (element, from, to) => {
    const found = new Range();
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    let passed = 0, started = false;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const end = passed + node.length;
      if (!started && from < end) {
        found.setStart(node, from - passed);
        started = true;
      }
      if (started && to <= end) {
        found.setEnd(node, to - passed);
        break;
      }
      passed = end;
    }
    return found;
  };
  const show = () => {
    $("hits").textContent = $("search").value.trim() ? `${at + 1} / ${hits.length}` : "";
  };
  const step = (by) => {
    if (!hits.length) return;
    at = at < 0 && by < 0 ? hits.length - 1 : (at + by + hits.length) % hits.length;
    hits[at].startContainer.parentElement.scrollIntoView({ block: "center" });
    show();
  };
  $("search").addEventListener("input", find);
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { event.target.value = ""; find(); }
  });
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  for (const button of all(".speakers button")) {
    button.addEventListener("click", () => {
      const who = button.dataset.who;
      const shown = hidden.delete(who) || (hidden.add(who), false);
      button.setAttribute("aria-pressed", String(shown));
      find();
    });
  }

  $("removed")?.addEventListener("change", (event) => {
    document.body.classList.toggle("without-removed", !event.target.checked);
  });
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, button, audio, a")) return;
    if (event.key === "/") { event.preventDefault(); $("search").focus(); }
    if (event.key === " " && document.body.classList.contains("playable")) {
      event.preventDefault();
      if (audio.paused) audio.play().catch(() => {}); else audio.pause();
    }
  });
  for (const element of all("[data-script]")) element.hidden = false;
  if (audio.readyState > 0) ready();
})();
