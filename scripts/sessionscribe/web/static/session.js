"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const page = $("session"), audio = $("audio"), text = $("text");
  const name = page.dataset.name, readOnly = "readOnly" in document.body.dataset;
  const api = `/api/s/${encodeURIComponent(name)}`;
  let base = page.dataset.base;
  let words = [], starts = [], parts = [];
  let now = null, here = null, following = true, waveform = null;

  // The text: all words by time; where two talk at once, a paragraph holds words later than the next one's.
  const index = () => {
    parts = [...text.querySelectorAll(".said")];
    words = [...text.querySelectorAll("[data-n]")].sort((one, other) => one.dataset.t - other.dataset.t);
    starts = words.map((word) => Number(word.dataset.t));
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
  const state = (what, bad = false) => {
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

  // Sound: clicks seek, the word that is heard lights up, and the page follows until somebody scrolls.
  const seek = (time, play = true) => {
    audio.currentTime = time;
    if (play) audio.play().catch(() => state("The audio is not here, or this browser cannot play it.", true));
    follow(true);
  };
  const follow = (on) => {
    following = on;
    $("follow").hidden = on || audio.paused;
  };
  audio.addEventListener("timeupdate", () => {
    $("clock").textContent = clock(audio.currentTime);
    const word = words[before(audio.currentTime)] ?? null;
    if (word === now) return;
    now?.classList.remove("now");
    word?.classList.add("now");
    now = word;
    if (following && word && !audio.paused) {
      const box = word.getBoundingClientRect();
      if (box.top < 200 || box.bottom > innerHeight - 60) word.scrollIntoView({ block: "center" });
    }
  });
  for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => { if (!audio.paused) follow(false); }, { passive: true });
  audio.addEventListener("play", () => { $("play").textContent = "❚❚"; });
  audio.addEventListener("pause", () => { $("play").textContent = "▶"; follow(true); });
  const toggle = () => { if (audio.paused) seek(audio.currentTime); else audio.pause(); };
  $("play").addEventListener("click", toggle);
  $("follow").addEventListener("click", () => { follow(true); now?.scrollIntoView({ block: "center" }); });
  const faster = (by) => {
    const choice = $("speed");
    choice.selectedIndex = Math.min(choice.length - 1, Math.max(0, choice.selectedIndex + by));
    audio.playbackRate = Number(choice.value);
  };
  $("speed").addEventListener("change", () => faster(0));
  audio.preservesPitch = true;

  // Waveform and lanes.
  const draw = async () => {
    const answer = await fetch(`${api}/peaks`);
    if (!answer.ok) { state("The converted audio is not here: the text can be read and mended, not heard.", true); return; }
    const peaks = Float32Array.from(new Uint8Array(await answer.arrayBuffer()), (value) => value / 255);
    if (window.WaveSurfer) {
      waveform = WaveSurfer.create({
        container: $("waveform"), media: audio, peaks: [peaks], duration: Number(page.dataset.duration), height: 64,
        waveColor: "#8a93a0", progressColor: "#1f5fa8", cursorColor: "#d0342c", normalize: true, cspNonce: page.dataset.nonce,
      });
    }
    lanes();
  };
  const lanes = () => {
    const canvas = $("lanes"), total = Number(page.dataset.duration) || 1;
    const speakers = [...new Set(parts.map((part) => part.querySelector(".who").textContent))];
    const scale = devicePixelRatio, row = 7;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = speakers.length * row * scale;
    canvas.style.height = `${speakers.length * row}px`;
    const brush = canvas.getContext("2d");
    for (const part of parts) {
      const own = [...part.querySelectorAll("[data-n]")].map((word) => Number(word.dataset.t));
      const from = Number(part.dataset.start), to = Math.max(...own) + 0.5;
      const who = part.querySelector(".who");
      brush.fillStyle = getComputedStyle(who).color;
      brush.fillRect(from / total * canvas.width, speakers.indexOf(who.textContent) * row * scale,
        Math.max(1, (to - from) / total * canvas.width), (row - 2) * scale);
    }
  };
  addEventListener("resize", lanes);

  // Changes: each is saved when it is left; the page stays where it is.
  const send = async (body) => {
    const answer = await post(`${api}/edits`, { base, ...body });
    if (answer.html !== undefined) {
      const top = scrollY, number = here?.dataset.n;
      base = answer.base;
      text.innerHTML = answer.html;
      $("speakers").replaceChildren(...answer.speakers.map((speaker) => Object.assign(document.createElement("option"), { value: speaker })));
      index();
      lanes();
      now = here = null;
      if (number) choose(text.querySelector(`[data-n="${number}"]`));
      scrollTo(0, top);
      if ($("undo")) $("undo").disabled = !answer.can_undo;
    }
    if (!answer.ok) { state(`Not saved: ${answer.error}`, true); return false; }
    const open = answer.corrections.filter((one) => one.state === "open");
    state(open.length ? `Saved; ${open.length} correction${open.length > 1 ? "s have" : " has"} no place: ${open[0].reason}` : "Saved. Exports follow.");
    later();
    return true;
  };
  let timer = null;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(exports, 30000);
  };
  const exports = async () => {
    clearTimeout(timer);
    const answer = await post("/api/run", { sessions: [name], exports: true });
    if (answer.ok) state("The exports are being written.");
    else if (answer.status === 409) { state("Another run is at work; the exports follow after it."); later(); }
    else state(answer.error, true);
  };
  const edit = (word, next = false) => {
    if (readOnly || !word) return;
    choose(word);
    audio.pause();
    const field = document.createElement("input");
    field.value = word.textContent;
    field.size = Math.max(6, word.textContent.length + 2);
    field.setAttribute("aria-label", "The word");
    word.replaceChildren(field);
    field.select();
    let left = false;
    const leave = async (save, on) => {
      if (left) return;
      left = true;
      const value = field.value.trim(), was = field.defaultValue, number = Number(word.dataset.n);
      word.textContent = was;
      if (save && value !== was) {
        word.textContent = value;
        if (!await send({ changes: [{ op: "words", first: number, last: number, text: value }] })) {
          // What was typed is kept, so that it can be put where it belongs.
          state(`${$("state").textContent} You typed: ${value}`, true);
        }
      }
      const again = text.querySelector(`[data-n="${number + (on ? 1 : 0)}"]`);
      choose(again);
      if (on) edit(again);
    };
    field.defaultValue = field.value;
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") leave(true, false);
      if (event.key === "Escape") leave(false, false);
      if (event.key === "Tab") { event.preventDefault(); leave(true, true); }
    });
    field.addEventListener("blur", () => leave(true, false));
    field.addEventListener("click", (event) => event.stopPropagation());
  };
  const ask = (what, { was = null, value = "", all = "" }) => new Promise((done) => {
    $("ask-what").textContent = what;
    $("ask-was").hidden = was === null;
    $("ask-was").value = was ?? "";
    $("ask-text").value = value;
    $("ask-all").hidden = !all;
    $("ask-all").querySelector("span").textContent = all;
    $("ask-rename").checked = false;
    $("ask").returnValue = "";
    $("ask").showModal();
    $("ask-text").select();
    $("ask").addEventListener("close", () => done($("ask").returnValue === "save" ? {
      was: $("ask-was").value.trim(), value: $("ask-text").value.trim(), all: $("ask-rename").checked } : null), { once: true });
  });
  const speaker = async (part) => {
    if (readOnly || !part) return;
    const was = part.querySelector(".who").textContent;
    const answer = await ask("Who says this paragraph?", { value: was === "–" ? "" : was, all: was === "–" ? "" : `${was} is called so everywhere` });
    if (!answer || !answer.value || answer.value === was) return;
    const change = answer.all ? { op: "name", was, text: answer.value }
      : { op: "speaker", first: Number(part.dataset.first), last: Number(part.dataset.last), text: answer.value };
    send({ changes: [change] });
  };
  const undo = () => { if (!readOnly && !$("undo").disabled) send({ undo: true }); };
  $("undo")?.addEventListener("click", undo);
  $("exports")?.addEventListener("click", exports);
  $("everywhere")?.addEventListener("click", async () => {
    const answer = await ask("Replace everywhere in this session, by", { was: here?.textContent ?? "" });
    if (answer?.was && answer.value) send({ changes: [{ op: "everywhere", was: answer.was, text: answer.value }] });
  });
  if ($("undo")) $("undo").disabled = page.dataset.undo !== "true";

  text.addEventListener("click", (event) => {
    const part = event.target.closest(".said"), word = event.target.closest("[data-n]");
    if (event.target.closest(".at")) seek(Number(part.dataset.start));
    else if (event.target.closest(".who")) speaker(part);
    else if (word && getSelection().isCollapsed) { choose(word); seek(Number(word.dataset.t)); }
  });
  text.addEventListener("dblclick", (event) => {
    const word = event.target.closest("[data-n]");
    if (word) { getSelection().removeAllRanges(); edit(word); }
  });

  // Flags: moments that are worth a look.
  const flags = [...document.querySelectorAll("#flags button")];
  let flag = -1;
  const to = (number) => {
    if (!flags.length) return;
    flags[flag]?.classList.remove("now");
    flag = (number + flags.length) % flags.length;
    flags[flag].classList.add("now");
    flags[flag].scrollIntoView({ block: "nearest" });
    const time = Number(flags[flag].dataset.t);
    choose(words[Math.max(0, before(time))], true);
    seek(Math.max(0, time - 0.5));
  };
  flags.forEach((button, number) => button.addEventListener("click", () => to(number)));

  // Find.
  const folded = (value) => value.normalize("NFKC").toLowerCase();
  let hits = [], hit = -1;
  const find = () => {
    const wanted = folded($("find").value.trim());
    hits = [];
    hit = -1;
    if (wanted) {
      for (const part of parts) {
        const own = part.querySelector("p");
        const walker = document.createTreeWalker(own, NodeFilter.SHOW_TEXT);
        const nodes = [];
        let whole = "";
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          nodes.push([whole.length, node]);
          whole += node.data;
        }
        const plain = folded(whole);
        if (plain.length !== whole.length) continue;
        for (let at = plain.indexOf(wanted); at >= 0; at = plain.indexOf(wanted, at + wanted.length)) {
          const range = new Range();
          const place = (position) => nodes.findLast(([start]) => start <= position);
          const [from, first] = place(at), [until, last] = place(at + wanted.length - 1);
          range.setStart(first, at - from);
          range.setEnd(last, at + wanted.length - until);
          hits.push(range);
        }
      }
    }
    if (window.Highlight) CSS.highlights.set("hit", new Highlight(...hits));
    $("hits").textContent = wanted ? `${hits.length} found` : "";
  };
  $("find").addEventListener("input", find);
  $("find").addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") { event.target.value = ""; find(); event.target.blur(); }
    if (event.key === "Enter" && hits.length) {
      hit = (hit + (event.shiftKey ? -1 : 1) + hits.length) % hits.length;
      $("hits").textContent = `${hit + 1} of ${hits.length}`;
      choose(hits[hit].startContainer.parentElement.closest("[data-n]"), true);
    }
  });

  // Keys.
  const keys = () => {
    $("key-list").hidden = !$("key-list").hidden;
    $("keys").setAttribute("aria-expanded", String(!$("key-list").hidden));
  };
  $("keys").addEventListener("click", keys);
  const paragraph = (by) => {
    const own = (here ?? words[Math.max(0, before(audio.currentTime))])?.closest(".said");
    const part = parts[Math.min(parts.length - 1, Math.max(0, parts.indexOf(own) + by))];
    if (part) { choose(part.querySelector("[data-n]"), true); seek(Number(part.dataset.start), !audio.paused); }
  };
  const actions = {
    " ": toggle,
    ArrowLeft: () => seek(Math.max(0, audio.currentTime - 3), !audio.paused),
    ArrowRight: () => seek(audio.currentTime + 3, !audio.paused),
    ArrowUp: () => paragraph(-1),
    ArrowDown: () => paragraph(1),
    "[": () => faster(-1),
    "]": () => faster(1),
    Enter: () => edit(here ?? now),
    s: () => speaker((here ?? now ?? words[0])?.closest(".said")),
    n: () => to(flag + 1),
    p: () => to(flag - 1),
    u: undo,
    "/": () => $("find").focus(),
    "?": keys,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("ask").open) return;
    if (event.target.closest("input, select, dialog, nav, a")) return;
    if (event.target.closest("button") && [" ", "Enter"].includes(event.key)) return;
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  index();
  draw();
  const moment = /^#t=([\d.]+)$/.exec(location.hash);
  if (moment) {
    const time = Number(moment[1]);
    choose(words[Math.max(0, before(time))], true);
    audio.currentTime = time;
  }
})();
